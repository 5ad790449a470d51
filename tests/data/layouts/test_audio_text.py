from __future__ import annotations

from pathlib import Path

from made_sounds import tones, write_sound
from tunesmith.data.mixture import read
from tunesmith.spec.errors import EmptyRow
from tunesmith.spec.examples import Speech
from tunesmith.spec.job import DatasetRef


def test_each_recording_has_its_text_beside_it(tmp_path: Path) -> None:
    for name, said in {"train/1": "good day", "train/2": "bad\nday", "val/3": "night"}.items():
        write_sound(tmp_path / f"{name}.wav", tones("ab"))
        (tmp_path / f"{name}.txt").write_text(said)
    found = list(read([DatasetRef(uri=str(tmp_path))]))
    assert [(Path(each.audio).name, each.text) for each in found if isinstance(each, Speech)] == [
        ("1.wav", "good day"), ("2.wav", "bad day"), ("3.wav", "night"),
    ]  # fmt: skip


def test_a_recording_without_a_text_is_a_fault(tmp_path: Path) -> None:
    for number in range(3):
        write_sound(tmp_path / f"{number}.wav", tones("ab"))
    for number in range(2):
        (tmp_path / f"{number}.txt").write_text("day")
    faults = [each for each in read([DatasetRef(uri=str(tmp_path))]) if not isinstance(each, Speech)]
    assert [type(each) for each in faults] == [EmptyRow]
