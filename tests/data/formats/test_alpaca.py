from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.alpaca import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation, Message

WHERE = Where("alpaca.json", 3)


def read(**row: Any) -> Conversation:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    return example


def test_recognises_an_instruction_with_its_output() -> None:
    assert FORMAT.sniff({"instruction": 1, "output": 1, "text": 1}) > 0
    assert FORMAT.sniff({"instruction": "and output"}) == 0


def test_puts_the_input_below_the_instruction() -> None:
    assert read(instruction="Add.", input="1 2", output="3").messages == (
        Message("user", "Add.\n\nInput: 1 2"),
        Message("assistant", "3"),
    )


@pytest.mark.parametrize("nothing", ["", "  ", None])
def test_takes_the_instruction_alone_where_the_input_says_nothing(nothing: object) -> None:
    assert read(instruction="Add.", input=nothing, output="3").messages[0] == Message("user", "Add.")


def test_puts_system_and_earlier_turns_first() -> None:
    found = read(instruction="c", output="d", system="Be brief.", history=[["a", "b"]])
    assert [(message.role, message.content) for message in found.messages] == [
        ("system", "Be brief."),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
    ]


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"instruction": "a"}, MissingColumn, "output"),
        ({"instruction": "a", "output": " "}, EmptyRow, "output"),
        ({"instruction": None, "output": "b"}, EmptyRow, "instruction"),
        ({"instruction": "a", "output": 3}, WrongType, "output"),
        ({"instruction": "a", "output": "b", "input": []}, WrongType, "input"),
        ({"instruction": "a", "output": "b", "history": "x"}, WrongType, "history"),
        ({"instruction": "a", "output": "b", "history": [["q"]]}, WrongType, "history[0]"),
        ({"instruction": "a", "output": "b", "history": [["q", 1]]}, WrongType, "history[0][1]"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"alpaca\.json:3: ") as caught:
        read(**row)
    assert caught.value.column == column
