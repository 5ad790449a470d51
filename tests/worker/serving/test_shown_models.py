"""A tiny model of each kind, loaded from its folder as a serve run loads it, and asked in its own way."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from made_pipelines import write_sd
from made_scenes import make_detector
from made_sounds import make_ast, make_wav2vec2, make_whisper, tones, write_sound
from picture_models import make_pair, make_talker
from tunesmith.spec.errors import TunesmithError
from tunesmith.worker.serving.endpoints import ENDPOINTS, Completion
from tunesmith.worker.serving.loading import load_engine

CHAT, EMBED, PREDICT = "/v1/chat/completions", "/v1/embeddings", "/predict"
HEAR, DRAW = "/v1/audio/transcriptions", "/v1/images/generations"


@pytest.fixture(scope="module")
def picture() -> str:
    held = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)).save(held, "PNG")
    return base64.b64encode(held.getvalue()).decode()


@pytest.fixture
def sound(tmp_path: Path) -> str:
    return base64.b64encode(write_sound(tmp_path / "a.wav", tones("abc")).read_bytes()).decode()


def asking(folder: Path) -> Callable[..., Any]:
    engine = load_engine({"model": str(folder), "device": "cpu", "precision": "fp32"}, folder / "scratch")

    def ask(path: str, **body: Any) -> Any:
        reply = ENDPOINTS["POST", path](engine, body)
        return reply.whole() if isinstance(reply, Completion) else reply

    return ask


def scores(reply: Mapping[str, Any]) -> float:
    return float(sum(each["score"] for each in reply["labels"]))


def test_a_detector_finds_things(tmp_path: Path, picture: str) -> None:
    found = asking(make_detector(tmp_path / "model"))(PREDICT, content=picture, threshold=0)["boxes"]
    assert found and all(len(each["box"]) == 4 for each in found)


def test_speech_is_written_down(tmp_path: Path, sound: str, picture: str) -> None:
    ask = asking(make_whisper(tmp_path / "model"))
    assert ask(HEAR, content=sound)["text"] == ask(PREDICT, content=sound)["text"]
    with pytest.raises(TunesmithError, match="cannot be used"):
        ask(HEAR, content=picture)


def test_speech_is_written_down_with_its_times(tmp_path: Path) -> None:
    sound = base64.b64encode(write_sound(tmp_path / "a.wav", tones("abcdef" * 3)).read_bytes()).decode()
    told = asking(make_whisper(tmp_path / "model", times=True))(HEAR, content=sound, times=True)
    assert {"text", "segments", "duration", "language"} <= told.keys()
    assert all(0 <= each["start"] < each["end"] <= told["duration"] for each in told["segments"])
    assert told["segments"]


@pytest.mark.parametrize("make", [make_ast, make_wav2vec2])
def test_a_model_of_sounds_without_a_head_does_not_answer(make: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(TunesmithError):
        asking(make(tmp_path / "model"))


def test_texts_have_vectors_and_pictures_fit_them(tmp_path: Path, picture: str) -> None:
    ask = asking(make_pair(tmp_path / "model"))
    vectors = [each["embedding"] for each in ask(EMBED, input=["a red circle", "a blue square"])["data"]]
    assert [sum(number * number for number in vector) for vector in vectors] == pytest.approx([1, 1])
    assert scores(ask(PREDICT, content=picture, labels=["a red circle", "a blue square"])) == pytest.approx(1)


def test_a_picture_is_talked_about(tmp_path: Path, picture: str) -> None:
    ask = asking(make_talker(tmp_path / "model", "llava"))
    shown = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}
    turns = [{"role": "user", "content": [shown, {"type": "text", "text": "What is it?"}]}]
    answer = ask(CHAT, messages=turns, max_tokens=4, temperature=0)
    assert (
        answer["choices"][0]["message"]["content"]
        == ask(PREDICT, content=picture, text="What is it?", max_tokens=4)["text"]
    )


def test_pictures_are_made_and_the_same_seed_makes_the_same(tmp_path: Path) -> None:
    ask = asking(write_sd(tmp_path / "model"))
    said = {"prompt": "a circle", "steps": 1, "width": 32, "height": 32}
    one, same, other = (ask(DRAW, **said, seed=seed)["images"][0] for seed in (1, 1, 2))
    assert one == same != other
    assert Image.open(io.BytesIO(base64.b64decode(one))).size == (32, 32)
