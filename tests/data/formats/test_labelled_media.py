from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.detect import format_of
from tunesmith.data.formats import FORMATS, alone
from tunesmith.spec.errors import MissingColumn, RowFault, Where
from tunesmith.spec.examples import LabelledImage, LabelledSound

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
    ],
)
def test_leaves_other_rows_to_others(row: dict[str, Any]) -> None:
    assert not FORMAT.sniff(row)


@pytest.mark.parametrize(
    "row", [{"image": 3, "label": "cat"}, {"image": "a.png", "label": 1.5}, {"image": "a.png", "label": None}]
)
def test_a_row_that_says_something_else_is_a_fault(row: dict[str, Any]) -> None:
    with pytest.raises(RowFault):
        list(alone(FORMAT, row, WHERE))


def test_names_the_column_that_is_missing() -> None:
    with pytest.raises(MissingColumn, match="no column 'image'"):
        list(alone(FORMAT, {"label": "cat"}, WHERE))
