"""What a picture or recording is, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.drawn import as_bytes, draw_into, drawn
from made_sounds import tones, write_sound
from tunesmith.data.check import check
from tunesmith.data.media.facts import facts_of, fault_of
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import LabelledImage, PlainText, Speech
from tunesmith.spec.job import DatasetRef

HERE = Where("rows.jsonl", 1)


def test_pictures_have_a_size_and_recordings_a_length(tmp_path: Path) -> None:
    draw_into(tmp_path, ["1.png"])
    write_sound(tmp_path / "1.wav", tones("abc"))
    [picture] = facts_of(LabelledImage(str(tmp_path / "1.png"), "a", HERE))
    [sound] = facts_of(Speech(str(tmp_path / "1.wav"), "abc", HERE))
    assert picture.as_dict() == {"name": str(tmp_path / "1.png"), "kind": "picture", "width": 24, "height": 20}
    assert sound.as_dict() == {"name": str(tmp_path / "1.wav"), "kind": "recording", "seconds": 0.3}
    assert facts_of(PlainText("nothing to see", HERE)) == []


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("cut.png", as_bytes(drawn())[:200], "truncated"),
        ("text.png", b"hello", "no picture"),
        ("empty.png", b"", "empty"),
        ("missing.png", None, "no file"),
        ("drawing.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "no picture"),
    ],
)
def test_damage_is_found_without_a_model(tmp_path: Path, name: str, content: bytes | None, why: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    fault = fault_of(LabelledImage(str(tmp_path / name), "a", HERE))
    assert fault is not None and why in fault.message


def test_silence_is_a_fault(tmp_path: Path) -> None:
    write_sound(tmp_path / "1.wav", np.zeros(16_000, np.float32))
    fault = fault_of(Speech(str(tmp_path / "1.wav"), "abc", HERE))
    assert fault is not None and "silent" in fault.message


def test_a_check_says_what_there_is_and_what_is_damaged(tmp_path: Path) -> None:
    folder = draw_into(tmp_path, [f"{side}/{name}/{n}.png" for side in ("train", "val") for name in "ab" for n in "12"])
    (folder / "train" / "a" / "1.png").write_bytes(b"hello")
    report = check([DatasetRef(uri=str(folder))])
    assert (report.rows, report.media, report.kinds) == (7, {"pictures": 7}, {"labelled image": 7})
    assert report.labels == {"b": 4, "a": 3} and report.faults.by_code == {"unreadable_media": 1}
    assert report.sides == {"train": 3, "validation": 4, "test": 0}
