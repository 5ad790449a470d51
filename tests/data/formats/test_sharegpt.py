from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.sharegpt import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation

WHERE = Where("chats.json", 1)


def read(**row: Any) -> list[tuple[str, str]]:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    return [(message.role, message.content) for message in example.messages]


def test_recognises_conversations() -> None:
    assert FORMAT.sniff({"conversations": None, "id": 1, "text": 1}) > 0
    assert FORMAT.sniff({"conversation": []}) == 0


@pytest.mark.parametrize(
    ("asks", "answers"), [("human", "gpt"), ("user", "assistant"), ("Human", "GPT"), ("user", "model")]
)
def test_knows_the_speakers_by_their_usual_names(asks: str, answers: str) -> None:
    turns = [{"from": asks, "value": "Hi"}, {"from": answers, "value": "Yes?"}]
    assert read(conversations=turns) == [("user", "Hi"), ("assistant", "Yes?")]


def test_reads_role_and_content_as_well() -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    assert read(conversations=turns) == [("user", "Hi"), ("assistant", "Yes?")]


def test_puts_a_system_column_first() -> None:
    turns = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes?"}]
    assert read(conversations=turns, system="Be brief.")[0] == ("system", "Be brief.")
    assert read(conversations=turns, system="")[0] == ("user", "Hi")


HI = {"from": "human", "value": "Hi"}


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({}, MissingColumn, "conversations"),
        ({"conversations": []}, EmptyRow, "conversations"),
        ({"conversations": "Hi"}, WrongType, "conversations"),
        ({"conversations": [HI]}, WrongType, "conversations"),
        ({"conversations": ["Hi"]}, WrongType, "conversations"),
        ({"conversations": [3]}, WrongType, "conversations[0]"),
        ({"conversations": [HI, {"from": "gpt"}]}, WrongType, "conversations[1]"),
        ({"conversations": [HI, {"from": "gpt", "value": ""}]}, EmptyRow, "conversations[1].value"),
        ({"conversations": [{"from": "narrator", "value": "x"}]}, WrongType, "conversations[0].from"),
        ({"conversations": [HI, {"from": "system", "value": "x"}]}, WrongType, "conversations"),
    ],
)
def test_names_the_turn_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault) as caught:
        read(**row)
    assert caught.value.column == column
