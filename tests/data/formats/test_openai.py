from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.openai import FORMAT
from tunesmith.spec.errors import EmptyRow, NoWeight, RowFault, UnreadableRow, Where, WrongType
from tunesmith.spec.examples import Conversation, Message, PictureTalk

WHERE = Where("chat.jsonl", 17)
ASK = {"role": "user", "content": "Hi"}


def read(*messages: object) -> tuple[Message, ...]:
    [example] = FORMAT.examples({"messages": list(messages)}, WHERE)
    assert isinstance(example, Conversation)
    assert example.where == WHERE
    return example.messages


def test_recognises_messages_before_anything_else() -> None:
    row = {"messages": [], "text": "", "prompt": "", "completion": "", "conversations": []}
    assert FORMAT.sniff(row) > 0
    assert FORMAT.sniff({"message": []}) == 0


def test_reads_roles_and_contents() -> None:
    system = {"role": "developer", "content": "Be brief."}
    assert read(system, ASK, {"role": "assistant", "content": "Yes?"}) == (
        Message("system", "Be brief."),
        Message("user", "Hi"),
        Message("assistant", "Yes?"),
    )


def test_joins_text_parts() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert read({"role": "user", "content": parts}, {"role": "assistant", "content": "3"})[0].content == "one\ntwo"


def test_keeps_an_answer_of_weight_zero_out_of_training() -> None:
    found = read(ASK, {"role": "assistant", "content": "a", "weight": 0}, ASK, {"role": "assistant", "content": "b"})
    assert [message.train for message in found] == [True, False, True, True]


def test_leaves_a_blank_system_turn_out() -> None:
    assert read({"role": "system", "content": ""}, ASK, {"role": "assistant", "content": "a"})[0].role == "user"


def test_parts_that_are_pictures_make_it_a_conversation_about_them() -> None:
    parts = [{"type": "image", "image": name} for name in ("a.png", "b.png")]
    asked = {"role": "user", "content": [*parts, {"type": "text", "text": "Which?"}]}
    [example] = FORMAT.examples({"messages": [asked, {"role": "assistant", "content": "One."}]}, WHERE)
    turns = (Message("user", "<image>\n<image>\nWhich?"), Message("assistant", "One."))
    assert example == PictureTalk(("a.png", "b.png"), turns, WHERE)


@pytest.mark.parametrize(
    ("messages", "fault", "column"),
    [
        ([ASK], WrongType, "messages"),
        ([ASK, {"role": "assistant", "content": None}], EmptyRow, "messages[1].content"),
        ([ASK, {"role": "assistant", "content": "a", "weight": 0}], NoWeight, "messages"),
        ([ASK, {"role": "assistant", "content": "a", "weight": 2}], WrongType, "messages[1].weight"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], WrongType, "messages[0].content[0]"),
        ([{"role": 1, "content": "x"}], WrongType, "messages[0].role"),
        ([{"content": "x"}], WrongType, "messages[0]"),
        ([{"role": "user", "content": "\ud83d"}], UnreadableRow, None),
    ],
)
def test_names_the_message_at_fault(messages: list[Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"chat\.jsonl:17: ") as caught:
        read(*messages)
    assert caught.value.column == column
