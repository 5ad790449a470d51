from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.vision_qa import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import ImageQuestion, Message, PictureTalk

WHERE = Where("pictures.json", 1)


def llava(*values: str) -> dict[str, Any]:
    turns = [{"from": "gpt" if place % 2 else "human", "value": value} for place, value in enumerate(values)]
    return {"id": "1", "image": "a.jpg", "conversations": turns}


def test_keeps_the_picture_of_a_question() -> None:
    row = {"image": "a.jpg", "question": "Who?", "answer": "A cat."}
    assert FORMAT.sniff(row)
    assert list(FORMAT.examples(row, WHERE)) == [ImageQuestion("a.jpg", "Who?", "A cat.", WHERE)]


def test_a_single_question_of_a_conversation_is_a_question() -> None:
    row = llava("<image>\nWho?", "A cat.")
    assert FORMAT.sniff(row)
    assert list(FORMAT.examples(row, WHERE)) == [ImageQuestion("a.jpg", "Who?", "A cat.", WHERE)]


def test_several_turns_are_one_conversation_of_which_every_answer_is_trained() -> None:
    row = llava("<image>\nWho?", "A cat.", "Where?", "Here.")
    assert FORMAT.sniff(row)
    [talk] = FORMAT.examples(row, WHERE)
    assert isinstance(talk, PictureTalk)
    assert talk.images == ("a.jpg",)
    assert [(turn.role, turn.content, turn.train) for turn in talk.messages if turn.role == "assistant"] == [
        ("assistant", "A cat.", True), ("assistant", "Here.", True),
    ]  # fmt: skip


def test_what_the_system_says_is_kept() -> None:
    turns = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "A cat."}]
    kept = (Message("system", "One word."), Message("user", "Who?"), Message("assistant", "A cat."))
    rows: list[dict[str, Any]] = [
        {"image": "a.jpg", "messages": [{"role": "system", "content": "One word."}, *turns]},
        {"image": "a.jpg", "messages": turns, "system": "One word."},
        {"image": "a.jpg", "question": "Who?", "answer": "A cat.", "system": "One word."},
    ]
    for row in rows:
        assert FORMAT.sniff(row)
        assert list(FORMAT.examples(row, WHERE)) == [PictureTalk(("a.jpg",), kept, WHERE)]


def test_a_blank_system_turn_is_none() -> None:
    row = llava("<image>\nWho?", "A cat.")
    row["conversations"].insert(0, {"from": "system", "value": " "})
    assert list(FORMAT.examples(row, WHERE)) == [ImageQuestion("a.jpg", "Who?", "A cat.", WHERE)]


def test_several_pictures_are_one_conversation() -> None:
    row = llava("<image>\n<image>\nWhich?", "The first.") | {"image": ["a.jpg", "b.jpg"]}
    [talk] = FORMAT.examples(row, WHERE)
    assert isinstance(talk, PictureTalk)
    assert talk.images == ("a.jpg", "b.jpg")


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"image": "a.jpg"}, MissingColumn, "question"),
        ({"question": "Who?", "answer": "x"}, MissingColumn, "image"),
        ({"image": "", "question": "Who?", "answer": "x"}, EmptyRow, "image"),
        ({"image": "a.jpg", "question": "Who?", "answer": 1}, WrongType, "answer"),
        ({"images": [], "question": "Who?", "answer": "x"}, WrongType, "images"),
        ({"image": None, "question": "Who?", "answer": "x"}, EmptyRow, "image"),
        (llava("<image>", "A cat."), WrongType, "conversations"),
        (llava("Who?"), WrongType, "conversations"),
        (llava(), EmptyRow, "conversations"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault) as caught:
        list(FORMAT.examples(row, WHERE))
    assert caught.value.column == column
