"""Settings that only training on recordings has; a field is a flag of `tunesmith train` and a key under ``options``."""

from __future__ import annotations

from pydantic import Field

from tunesmith.spec.recipe import Part


class AudioOptions(Part):
    """How recordings are read, varied and weighted."""

    language: str = Field(
        "en", json_schema_extra={"flag": "--language", "task": "speech-recognition", "models": ["speech"]}
    )
    """Language that is spoken, as Whisper names it (en, de, zh); models of one language or of none ignore en."""
    max_seconds: float | None = Field(None, gt=0, le=300, json_schema_extra={"flag": "--max-seconds"})
    """Longest recording that is used; longer ones are faults. Open: 30, or less where the model hears less."""
    spec_augment: bool = Field(False, json_schema_extra={"flag": "--spec-augment"})
    """Cover stretches of time and bands of frequency at random while training (SpecAugment)."""
    balance: bool = Field(False, json_schema_extra={"flag": "--balance-classes", "task": "audio-classification"})
    """Let each class count the same in the loss, however many recordings it has."""
    freeze_encoder: bool = Field(
        False, json_schema_extra={"flag": "--freeze-encoder", "head_alone": "audio-classification"}
    )
    """Leave what hears as it is: only Whisper's decoder, or the head behind another model, is trained."""
    freeze_convolutions: bool = Field(
        True, json_schema_extra={"flag": "--freeze-convolutions", "models": ["ctc"], "whole": True}
    )
    """Leave the first layers of Wav2Vec2, HuBERT and WavLM as they are; turn it off for a model that knows nothing."""
