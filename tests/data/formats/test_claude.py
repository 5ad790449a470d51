from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.claude import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation

WHERE = Where("rows.jsonl", 3)


def read(**row: Any) -> list[tuple[str, str]]:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    assert example.where == WHERE
    return [(message.role, message.content) for message in example.messages]


def test_makes_a_turn_of_each_side() -> None:
    assert read(Human="Hi", Assistant="Yes?") == [("user", "Hi"), ("assistant", "Yes?")]


def test_puts_a_system_column_first() -> None:
    assert read(Human="Hi", Assistant="Yes?", System="Be brief.") == [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Yes?"),
    ]


def test_recognises_its_columns() -> None:
    assert FORMAT.sniff({"Human": 1, "Assistant": 1})
    assert not FORMAT.sniff({"human": 1, "assistant": 1})


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"Human": "Hi"}, MissingColumn, "Assistant"),
        ({"Human": "Hi", "Assistant": " "}, EmptyRow, "Assistant"),
        ({"Human": "Hi", "Assistant": {}}, WrongType, "Assistant"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"rows\.jsonl:3: ") as caught:
        read(**row)
    assert caught.value.column == column
