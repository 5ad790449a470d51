from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.chat import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation

WHERE = Where("rows.jsonl", 3)


def read(**row: Any) -> list[tuple[str, str]]:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    assert example.where == WHERE
    return [(message.role, message.content) for message in example.messages]


def test_makes_a_turn_of_each_side() -> None:
    assert read(user="Hi", assistant="Yes?") == [("user", "Hi"), ("assistant", "Yes?")]


def test_reads_prompt_and_response() -> None:
    assert read(prompt="Hi", response="Yes?") == [("user", "Hi"), ("assistant", "Yes?")]


def test_reads_query_and_response() -> None:
    assert read(query="Hi", response="Yes?", system="Be brief.") == [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Yes?"),
    ]


def test_reads_lists_of_turns_where_somebody_says_that_they_are_chats() -> None:
    turns = [("user", "Hi"), ("assistant", "Yes?")]
    assert read(messages=[{"role": role, "content": said} for role, said in turns]) == turns
    assert read(conversations=[{"from": role, "value": said} for role, said in turns]) == turns
    assert not FORMAT.sniff({"messages": 1})


def test_recognises_its_columns() -> None:
    assert FORMAT.sniff({"user": 1, "assistant": 1})
    assert FORMAT.sniff({"query": 1, "response": 1})
    assert FORMAT.sniff({"prompt": 1, "response": 1})
    assert not FORMAT.sniff({"prompt": "response"})
    assert not FORMAT.sniff({"user": 1, "response": 1})


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"user": "Hi"}, MissingColumn, "assistant"),
        ({"assistant": "Hi"}, MissingColumn, "user"),
        ({"user": "", "assistant": "x"}, EmptyRow, "user"),
        ({"prompt": "x", "response": ["y"]}, WrongType, "response"),
        ({"query": None, "response": "y"}, EmptyRow, "query"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"rows\.jsonl:3: ") as caught:
        read(**row)
    assert caught.value.column == column
