from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.guanaco import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation

WHERE = Where("rows.jsonl", 3)


def read(**row: Any) -> list[tuple[str, str]]:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    assert example.where == WHERE
    return [(message.role, message.content) for message in example.messages]


def test_takes_the_marked_turns_apart() -> None:
    assert read(guanaco="### Human: Hi### Assistant: Yes?### Human: Why # and ##?### Assistant: So.") == [
        ("user", "Hi"),
        ("assistant", "Yes?"),
        ("user", "Why # and ##?"),
        ("assistant", "So."),
    ]


def test_reads_a_text_column_when_named_by_hand() -> None:
    assert read(text="### Human: Hi\n### Assistant: Yes?\n") == [("user", "Hi"), ("assistant", "Yes?")]


def test_recognises_its_columns() -> None:
    assert FORMAT.sniff({"guanaco": 1})
    assert not FORMAT.sniff({"text": "### Human: a### Assistant: b"})


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({}, MissingColumn, "guanaco"),
        ({"text": "Hi"}, WrongType, "text"),
        ({"text": "Hm ### Human: Hi### Assistant: a"}, WrongType, "text"),
        ({"guanaco": "### Human: Hi"}, WrongType, "guanaco"),
        ({"text": "### Human: Hi### Assistant: "}, EmptyRow, "text[1]"),
        ({"text": 3}, WrongType, "text"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"rows\.jsonl:3: ") as caught:
        read(**row)
    assert caught.value.column == column
