from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.vision import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import CaptionedImage

WHERE = Where("captions.csv", 2)


@pytest.mark.parametrize(
    "row",
    [
        {"image": "a.png", "caption": "A cat."},
        {"image": {"path": "a.png", "bytes": None}, "text": "A cat."},
        {"images": ["a.png"], "caption": "A cat."},
    ],
)
def test_reads_the_path_of_a_picture(row: dict[str, Any]) -> None:
    assert FORMAT.sniff(row)
    assert list(FORMAT.examples(row, WHERE)) == [CaptionedImage("a.png", "A cat.", WHERE)]


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"caption": "a"}, MissingColumn, "image"),
        ({"image": "a.png"}, MissingColumn, "caption"),
        ({"image": None, "caption": "a"}, EmptyRow, "image"),
        ({"image": {"bytes": b"x"}, "caption": "a"}, WrongType, "image"),
        ({"image": 3, "caption": "a"}, WrongType, "image"),
        ({"images": ["a.png", "b.png"], "caption": "a"}, WrongType, "images"),
        ({"images": [3], "caption": "a"}, WrongType, "images[0]"),
        ({"image": "a.png", "caption": ["a"]}, WrongType, "caption"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault) as caught:
        list(FORMAT.examples(row, WHERE))
    assert caught.value.column == column
