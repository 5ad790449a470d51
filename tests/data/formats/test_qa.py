from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.qa import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation, Message


def read(**row: Any) -> tuple[Message, ...]:
    [example] = FORMAT.examples(row, Where("qa.csv", 2))
    assert isinstance(example, Conversation)
    return example.messages


def test_recognises_a_question_with_an_answer() -> None:
    assert FORMAT.sniff({"question": 1, "answer": 1}) > 0
    assert FORMAT.sniff({"question": 1, "answers": 1}) > 0
    assert FORMAT.sniff({"question": "what is the answer?"}) == 0


def test_makes_a_question_a_turn() -> None:
    assert read(question="Who?", answer="Ada.") == (Message("user", "Who?"), Message("assistant", "Ada."))


def test_puts_the_context_above_the_question() -> None:
    assert read(question="Who?", answer="Ada.", context="Ada wrote it.")[0] == Message(
        "user", "Context: Ada wrote it.\n\nQuestion: Who?"
    )


def test_takes_the_first_of_squads_answers() -> None:
    assert read(question="Who?", answers={"text": ["Ada", "Lovelace"]})[1] == Message("assistant", "Ada")


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"question": "Who?"}, MissingColumn, "answer"),
        ({"answer": "Ada"}, MissingColumn, "question"),
        ({"question": "", "answer": "Ada"}, EmptyRow, "question"),
        ({"question": "Who?", "answer": 42}, WrongType, "answer"),
        ({"question": "Who?", "answers": {"text": []}}, EmptyRow, "answers"),
        ({"question": "Who?", "answers": ["Ada"]}, WrongType, "answers"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault) as caught:
        read(**row)
    assert caught.value.column == column
