from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.vicuna import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation

WHERE = Where("rows.jsonl", 3)


def read(**row: Any) -> list[tuple[str, str]]:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    assert example.where == WHERE
    return [(message.role, message.content) for message in example.messages]


def test_reads_numbered_conversations() -> None:
    assert read(id="i", conversations=[{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes?"}]) == [
        ("user", "Hi"),
        ("assistant", "Yes?"),
    ]


def test_reads_vicunas_own_writing_when_named_by_hand() -> None:
    assert read(text="A chat between two. USER: Hi ASSISTANT: Yes?</s>USER: Bye ASSISTANT: Bye.</s>") == [
        ("system", "A chat between two."),
        ("user", "Hi"),
        ("assistant", "Yes?"),
        ("user", "Bye"),
        ("assistant", "Bye."),
    ]


def test_recognises_its_columns() -> None:
    assert FORMAT.sniff({"id": 1, "conversations": 1})
    assert not FORMAT.sniff({"conversations": 1})
    assert not FORMAT.sniff({"id": 1, "conversations": 1, "system": 1})


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"id": 1}, MissingColumn, "conversations"),
        ({"conversations": {}}, WrongType, "conversations"),
        ({"text": "plain"}, WrongType, "text"),
        ({"text": "USER: ASSISTANT: x"}, EmptyRow, "text[0]"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"rows\.jsonl:3: ") as caught:
        read(**row)
    assert caught.value.column == column
