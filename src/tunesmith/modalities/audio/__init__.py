"""Sounds: what is said in a recording (speech recognition), and what a recording is of (classification).

A model family is one row in ``families.py``; a task is one ``Task`` below and what its builder does for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tunesmith.modalities.audio.families import FAMILIES
from tunesmith.modalities.audio.options import AudioOptions
from tunesmith.modalities.base import Encoder, Modality, Task
from tunesmith.spec.examples import LabelledSound, Speech

_BUILDER: Final = "tunesmith.modalities.audio.builder"


def _encoder(model_dir: Path, options: AudioOptions) -> Encoder:
    from tunesmith.modalities.audio.encode import SoundEncoder

    return SoundEncoder(model_dir, language=options.language, max_seconds=options.max_seconds)


MODALITY: Final = Modality(
    name="audio",
    tasks=(
        Task(
            name="speech-recognition",
            consumes=(Speech,),
            summary="speech recognition: what is said in each recording is learned",
            builder=f"{_BUILDER}:build_recognizer",
            aliases=("asr", "speech_recognition", "automatic-speech-recognition"),
            models=("speech", "ctc"),
            writes=False,
            does="writes down what is said",
            counts="sound",
            peft=None,
            loader="pipeline",
            cuts=False,
            judged_by="-wer",
            may_judge=("-cer",),
        ),
        Task(
            name="audio-classification",
            consumes=(LabelledSound,),
            summary="audio classification: the class of each recording is learned",
            builder=f"{_BUILDER}:build_classifier",
            aliases=("audio_classification", "audio_classifier", "audio-classifier", "sound-classification"),
            models=("speech", "ctc", "sound"),
            makes="sound",
            writes=False,
            does="tells classes of recordings apart",
            counts="sound",
            peft=None,
            loader="AutoModelForAudioClassification",
            cuts=False,
            judged_by="accuracy",
            may_judge=("macro_f1",),
        ),
    ),
    families=FAMILIES,
    options=AudioOptions,
    encoder=_encoder,
)
