from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.label import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import LabelledText

WHERE = Where("mails.csv", 2)


@pytest.mark.parametrize(
    ("label", "name"),
    [("spam", "spam"), (" ham ", "ham"), (0, "0"), (2.0, "2"), (-1, "-1"), (True, "true"), (False, "false")],
)
def test_a_class_is_known_by_its_name(label: object, name: str) -> None:
    assert list(FORMAT.examples({"text": "Buy!", "label": label}, WHERE)) == [LabelledText("Buy!", name, WHERE)]


def test_prefers_the_name_of_a_numbered_class() -> None:
    row = {"sentence": "Buy!", "label": 1, "label_text": "spam"}
    assert list(FORMAT.examples(row, WHERE)) == [LabelledText("Buy!", "spam", WHERE)]


def test_recognises_a_text_with_a_label() -> None:
    assert FORMAT.sniff({"text": 1, "label": 1})
    assert FORMAT.sniff({"sentence": 1, "label": 1, "idx": 1})
    assert not FORMAT.sniff({"text": "label"})


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"text": "a"}, MissingColumn, "label"),
        ({"label": "a"}, MissingColumn, "text"),
        ({"text": "a", "label": None}, EmptyRow, "label"),
        ({"text": "a", "label": " "}, EmptyRow, "label"),
        ({"text": "", "label": 1}, EmptyRow, "text"),
        ({"text": "a", "label": 0.5}, WrongType, "label"),
        ({"text": "a", "label": [1, 2]}, WrongType, "label"),
        ({"text": ["a"], "label": 1}, WrongType, "text"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault) as caught:
        list(FORMAT.examples(row, WHERE))
    assert caught.value.column == column
