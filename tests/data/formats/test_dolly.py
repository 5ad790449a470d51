from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.dolly import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation

WHERE = Where("rows.jsonl", 3)


def read(**row: Any) -> list[tuple[str, str]]:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    assert example.where == WHERE
    return [(message.role, message.content) for message in example.messages]


def test_puts_the_context_below_the_instruction() -> None:
    assert read(instruction="Sum up.", context="Ada wrote it.", response="Ada.", category="qa") == [
        ("user", "Sum up.\n\nContext: Ada wrote it."),
        ("assistant", "Ada."),
    ]


def test_takes_the_instruction_alone_where_there_is_no_context() -> None:
    assert read(instruction="Hi", response="Yes?", context="") == [("user", "Hi"), ("assistant", "Yes?")]


def test_recognises_its_columns() -> None:
    assert FORMAT.sniff({"instruction": 1, "response": 1})
    assert not FORMAT.sniff({"instruction": 1, "output": 1})


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"instruction": "Hi"}, MissingColumn, "response"),
        ({"instruction": "Hi", "response": 4}, WrongType, "response"),
        ({"instruction": "", "response": "x"}, EmptyRow, "instruction"),
        ({"instruction": "Hi", "response": "x", "context": [1]}, WrongType, "context"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"rows\.jsonl:3: ") as caught:
        read(**row)
    assert caught.value.column == column
