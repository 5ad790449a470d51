from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.anthropic import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation

WHERE = Where("rows.jsonl", 3)


def read(**row: Any) -> list[tuple[str, str]]:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    assert example.where == WHERE
    return [(message.role, message.content) for message in example.messages]


def test_makes_a_turn_of_each_side() -> None:
    assert read(human="Hi", assistant="Yes?") == [("user", "Hi"), ("assistant", "Yes?")]


def test_reads_a_transcript_when_named_by_hand() -> None:
    assert read(text="\n\nHuman: Hi\n\nAssistant: Yes?\n\nIs it you?\n\nHuman: It is.\n\nAssistant: Good.") == [
        ("user", "Hi"),
        ("assistant", "Yes?\n\nIs it you?"),
        ("user", "It is."),
        ("assistant", "Good."),
    ]


def test_recognises_its_columns() -> None:
    assert FORMAT.sniff({"human": 1, "assistant": 1})
    assert not FORMAT.sniff({"Human": 1, "Assistant": 1})
    assert not FORMAT.sniff({"text": "Human: "})


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"human": "Hi"}, MissingColumn, "assistant"),
        ({"human": 3, "assistant": "x"}, WrongType, "human"),
        ({"text": "no marks"}, WrongType, "text"),
        ({"text": "Hm. \n\nHuman: a"}, WrongType, "text"),
        ({"text": "\n\nHuman: a\n\nAssistant:"}, EmptyRow, "text[1]"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"rows\.jsonl:3: ") as caught:
        read(**row)
    assert caught.value.column == column
