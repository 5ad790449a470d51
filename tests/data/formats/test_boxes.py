from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.boxes import FORMAT
from tunesmith.spec.errors import BadBox, EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Box, BoxedImage

WHERE = Where("train_data.jsonl", 2)
CAT = Box("cat", 1, 2, 30, 40)


@pytest.mark.parametrize(
    "row",
    [
        {"image": "a.png", "boxes": [{"label": "cat", "box": [1, 2, 30, 40]}]},
        {"image": "a.png", "boxes": [{"label": " cat ", "bbox": [1.0, 2, 30, 40]}]},
        {"file_name": "a.png", "objects": {"bbox": [[1, 2, 30, 40]], "categories": ["cat"]}},
        {"file_name": "a.png", "objects": {"bbox": [[1, 2, 30, 40]], "category": ["cat"]}},
    ],
)
def test_reads_the_boxes_of_a_picture(row: dict[str, Any]) -> None:
    assert FORMAT.sniff(row) == 89
    assert list(FORMAT.examples(row, WHERE)) == [BoxedImage("a.png", (CAT,), WHERE)]


def test_a_number_is_a_place_among_the_names() -> None:
    row = {"image": "a.png", "boxes": [{"label": 1, "box": [0.1, 0.2, 0.3, 0.4]}], "relative": True}
    [named] = FORMAT.examples({**row, "names": ["dog", "cat"]}, WHERE)
    [bare] = FORMAT.examples(row, WHERE)
    assert named == BoxedImage("a.png", (Box("cat", 0.1, 0.2, 0.3, 0.4, True),), WHERE, ("dog", "cat"))
    assert bare == BoxedImage("a.png", (Box("1", 0.1, 0.2, 0.3, 0.4, True),), WHERE)


def test_a_picture_without_boxes_is_a_row() -> None:
    assert list(FORMAT.examples({"image": "a.png", "boxes": []}, WHERE)) == [BoxedImage("a.png", (), WHERE)]


@pytest.mark.parametrize(
    ("box", "names", "why"),
    [
        ({"label": 3, "box": [0, 0, 1, 1]}, ["a", "b"], "box 1 has the class 3, and the classes are 0 to 1"),
        ({"label": -1, "box": [0, 0, 1, 1]}, ["a", "b"], "box 1 has the class -1, and the classes are 0 to 1"),
        ({"label": -1, "box": [0, 0, 1, 1]}, [], "box 1 has the class -1, and classes are numbered from 0"),
        ({"label": 0.5, "box": [0, 0, 1, 1]}, [], "box 1 has the class 0.5, which is no whole number"),
        ({"label": "a", "box": [0, 0, 0, 1]}, [], "box 1 is empty: 0 wide and 1 high"),
        ({"label": "a", "box": [0, 0, 4, -1]}, [], "box 1 is empty: 4 wide and -1 high"),
        ({"label": "a", "box": [0, float("nan"), 4, 1]}, [], "box 1 has a side that is not a number"),
        ({"label": "a", "box": [0, 0, 1]}, [], "box 1 is not four numbers, x, y, width and height, but [0, 0, 1]"),
        ({"label": "a", "box": "0 0 1 1"}, [], "box 1 is not four numbers, x, y, width and height, but 0 0 1 1"),
        ({"label": "", "box": [0, 0, 1, 1]}, [], "box 1 has no class"),
        ({"box": [0, 0, 1, 1]}, [], "box 1 has no class"),
    ],
)
def test_says_what_is_wrong_with_a_box(box: dict[str, Any], names: list[str], why: str) -> None:
    with pytest.raises(BadBox) as caught:
        list(FORMAT.examples({"image": "a.png", "boxes": [box], "names": names}, WHERE))
    assert caught.value.message == f"{WHERE}: {why}. Mend or remove it."


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"boxes": []}, MissingColumn, "image"),
        ({"image": "a.png"}, MissingColumn, "boxes"),
        ({"image": "a.png", "boxes": None}, EmptyRow, "boxes"),
        ({"image": "a.png", "boxes": "none"}, WrongType, "boxes"),
        ({"image": "a.png", "boxes": [[1, 2, 3, 4]]}, WrongType, "boxes"),
        ({"image": "a.png", "objects": {"bbox": [[1, 2, 3, 4]], "category": []}}, BadBox, "boxes"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault) as caught:
        list(FORMAT.examples(row, WHERE))
    assert caught.value.column == column
