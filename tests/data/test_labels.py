from __future__ import annotations

import pytest

from tunesmith.data.labels import label
from tunesmith.spec.errors import EmptyRow, MissingColumn, Where, WrongType

WHERE = Where("rows.jsonl", 1)


@pytest.mark.parametrize(
    ("value", "name"), [(" cat ", "cat"), (3, "3"), (3.0, "3"), (True, "true"), (False, "false"), (0, "0")]
)
def test_a_class_is_text_a_number_or_true_and_false(value: object, name: str) -> None:
    assert label({"label": value}, "label", WHERE) == name


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"label": 1.5}, WrongType),
        ({"label": ["a"]}, WrongType),
        ({"label": {"a": 1}}, WrongType),
        ({"label": None}, EmptyRow),
        ({"label": " "}, EmptyRow),
        ({}, MissingColumn),
    ],
)
def test_anything_else_is_a_fault(row: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        label(row, "label", WHERE)
