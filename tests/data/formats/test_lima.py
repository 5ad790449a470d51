from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.lima import FORMAT
from tunesmith.spec.errors import MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation

WHERE = Where("rows.jsonl", 3)


def read(**row: Any) -> list[tuple[str, str]]:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    assert example.where == WHERE
    return [(message.role, message.content) for message in example.messages]


def test_reads_texts_in_turn() -> None:
    assert read(conversations=["a", "b"], source="stackexchange") == [("user", "a"), ("assistant", "b")]


def test_reads_nothing_into_a_last_question() -> None:
    assert read(conversations=["a", "b", "c"]) == [("user", "a"), ("assistant", "b"), ("user", "c")]


def test_recognises_its_columns() -> None:
    assert FORMAT.sniff({"conversations": 1, "source": 1})
    assert not FORMAT.sniff({"conversations": 1})
    assert not FORMAT.sniff({"conversations": 1, "source": 1, "model": 1})


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"source": "x"}, MissingColumn, "conversations"),
        ({"conversations": ["a"]}, WrongType, "conversations"),
        ({"conversations": ["a", 3]}, WrongType, "conversations[1]"),
        ({"conversations": None}, WrongType, "conversations"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"rows\.jsonl:3: ") as caught:
        read(**row)
    assert caught.value.column == column
