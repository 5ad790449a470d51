"""When what is said, as transformers tells it of the same models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as T

from made_sounds import SMALL, TONES, make_whisper, tones, write_sound
from tunesmith.modalities.audio.encode import Vocabulary
from tunesmith.modalities.audio.predictor import load_predictor

SPOKEN = "abcdefabcdefabcdefab"
"""As long as a tiny Whisper hears."""
WAVE = tones(SPOKEN)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_sound(tmp_path_factory.mktemp("sound") / "a.wav", WAVE, subtype="FLOAT").read_bytes()


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_whisper(tmp_path_factory.mktemp("whisper"), multilingual=True, times=True)


def test_whisper_writes_times_as_transformers_does(whisper: Path, sound: bytes) -> None:
    predictor: Any = load_predictor(whisper)
    heard = (WAVE * 32768).astype(np.int16)
    features = predictor.ears.inputs([heard])["input_features"]
    model = T.WhisperForConditionalGeneration.from_pretrained(whisper)
    asked = {"language": "en", "task": "transcribe", "return_timestamps": True}
    wanted = model.generate(features, return_segments=True, **asked)["segments"][0]
    found = predictor.predict(sound, times=True)
    within = [each for each in wanted if each["start"] < 2]
    pairs = zip(found["segments"], within, strict=True)
    assert all(each["tokens"] == wanted["tokens"].tolist()[: len(each["tokens"])] for each, wanted in pairs)
    assert [each["start"] for each in found["segments"]] == pytest.approx([float(each["start"]) for each in within])
    assert (found["duration"], found["language"]) == (2.0, "en")
    assert found["text"] == " ".join(each["text"] for each in found["segments"])


def test_a_window_is_divided_as_transformers_pipeline_divides_it(whisper: Path, sound: bytes) -> None:
    hear = T.pipeline("automatic-speech-recognition", str(whisper))
    asked = {"language": "en", "task": "transcribe", "max_new_tokens": None, "num_beams": 1}
    chunks = hear({"raw": WAVE, "sampling_rate": 16_000}, return_timestamps=True, generate_kwargs=asked)["chunks"]
    found = load_predictor(whisper).predict(sound, times=True)["segments"]
    first = [(each["start"], each["end"], each["text"]) for each in found]
    assert len(first) > 2
    assert first == [(*each["timestamp"], each["text"].strip()) for each in chunks[: len(first)]]


def test_a_whisper_without_tokens_of_time_tells_none(tmp_path: Path, sound: bytes) -> None:
    predictor = load_predictor(make_whisper(tmp_path))
    assert predictor.predict(sound, times=True) == {**predictor.predict(sound), "duration": 2.0}


def test_a_model_that_spells_tells_the_frames_of_its_words(tmp_path: Path, sound: bytes) -> None:
    vocabulary = Vocabulary.of_codes(map(ord, TONES))
    torch.manual_seed(0)
    config = T.Wav2Vec2Config(**SMALL, vocab_size=len(vocabulary.pieces), pad_token_id=vocabulary.blank)
    model = T.Wav2Vec2ForCTC(config)
    torch.nn.init.normal_(model.lm_head.weight, std=5)
    model.lm_head.bias.data[[vocabulary.pieces[name] for name in ("<s>", "</s>", "<unk>")]] = -1e4
    model.save_pretrained(tmp_path)
    T.Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(tmp_path)
    vocabulary.write(tmp_path)
    predictor: Any = load_predictor(tmp_path)
    heard = (WAVE * 32768).astype(np.int16)
    [words] = predictor.listener._speller.words(predictor.ears.inputs([heard]), predictor.ears.lengths([heard]))
    hear = T.pipeline("automatic-speech-recognition", str(tmp_path))
    chunks = hear({"raw": WAVE, "sampling_rate": 16_000}, return_timestamps="word")["chunks"]
    assert len(words) > 1
    assert [word for _, _, word in words] == [each["text"] for each in chunks]
    times = [time for begin, end, _ in words for time in (begin * 0.02, end * 0.02)]
    assert times == pytest.approx([time for each in chunks for time in each["timestamp"]])
    found = predictor.predict(sound, times=True)
    assert found["text"] == predictor.predict(sound)["text"]
    assert (found["segments"][0]["start"], found["duration"]) == (round(words[0][0] * 0.02, 2), 2.0)
