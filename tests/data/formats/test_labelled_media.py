from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from made_sounds import tones, write_sound
from tunesmith.data.check import check
from tunesmith.data.detect import format_of
from tunesmith.data.formats import FORMATS, alone
from tunesmith.spec.errors import MissingColumn, RowFault, Where
from tunesmith.spec.examples import LabelledImage, LabelledSound
from tunesmith.spec.job import DatasetRef

FORMAT = FORMATS["labelled_media"]
WHERE = Where("metadata.jsonl", 1)


@pytest.mark.parametrize(
    ("row", "example"),
    [
        ({"image": "a.png", "label": "cat"}, LabelledImage("a.png", "cat", WHERE)),
        ({"file_name": "a.png", "label": 3}, LabelledImage("a.png", "3", WHERE)),
        ({"image_path": "a.png", "class": "cat"}, LabelledImage("a.png", "cat", WHERE)),
        ({"image": {"path": "a.png", "bytes": None}, "label": True}, LabelledImage("a.png", "true", WHERE)),
        ({"audio": "a.wav", "label": "yes"}, LabelledSound("a.wav", "yes", WHERE)),
        ({"file_name": "a.WAV", "label": "yes"}, LabelledSound("a.WAV", "yes", WHERE)),
        ({"audio_path": "a.wav", "label": "yes"}, LabelledSound("a.wav", "yes", WHERE)),
        ({"audio_filepath": "a.wav", "label": "yes"}, LabelledSound("a.wav", "yes", WHERE)),
        ({"wav": "a", "class": "yes"}, LabelledSound("a", "yes", WHERE)),
        ({"audio": {"path": "a.wav"}, "label": "x"}, LabelledSound("a.wav", "x", WHERE)),
        ({"path": "a.wav", "label": "yes"}, LabelledSound("a.wav", "yes", WHERE)),
        ({"file": "a.mp3", "label": "yes"}, LabelledSound("a.mp3", "yes", WHERE)),
        ({"path": "a.png", "label": "cat"}, LabelledImage("a.png", "cat", WHERE)),
        ({"image": "a.png", "path": "b.wav", "label": "cat"}, LabelledImage("a.png", "cat", WHERE)),
    ],
)
def test_a_picture_or_a_recording_and_its_class(row: dict[str, Any], example: object) -> None:
    assert format_of(row, WHERE) is FORMAT
    assert list(alone(FORMAT, row, WHERE)) == [example]


@pytest.mark.parametrize(
    "row",
    [
        {"image": "a.png", "label": "cat", "caption": "a cat"},
        {"image": "a.png", "label": "cat", "question": "which?"},
        {"text": "a text", "label": "good"},
        {"image": "a.png"},
        {"path": "a.txt", "text": "a text", "class": "good"},
    ],
)
def test_leaves_other_rows_to_others(row: dict[str, Any]) -> None:
    assert not FORMAT.sniff(row)


@pytest.mark.parametrize(
    "row",
    [
        {"image": 3, "label": "cat"},
        {"image": "a.png", "label": 1.5},
        {"image": "a.png", "label": None},
        {"path": "a.py", "label": "good"},
        {"audio": {"bytes": 1}, "label": "yes"},
    ],
)
def test_a_row_that_says_something_else_is_a_fault(row: dict[str, Any]) -> None:
    with pytest.raises(RowFault):
        list(alone(FORMAT, row, WHERE))


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"text": "a", "label": "b", "path": "a.wav"}, "label"),
        ({"instruction": "a", "output": "b", "path": "a.py", "label": "c"}, "alpaca"),
        ({"path": "a.wav", "label": "b", "transcript": "c"}, "speech"),
        ({"image": "a.png", "path": "a.png", "label": "b"}, "labelled_media"),
    ],
)
def test_a_bare_path_is_no_reason_where_another_format_reads_the_row(row: dict[str, Any], name: str) -> None:
    assert format_of(row, WHERE).name == name


def test_a_list_of_recordings_names_them_by_a_bare_path(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav", tones("ab"))
    (tmp_path / "manifest.csv").write_text("path,label\na.wav,dog\n")
    assert check([DatasetRef(uri=str(tmp_path / "manifest.csv"))]).labels == {"dog": 1}


def test_names_the_column_that_is_missing() -> None:
    with pytest.raises(MissingColumn, match="no column 'image'"):
        list(alone(FORMAT, {"label": "cat"}, WHERE))
