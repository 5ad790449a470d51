from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.orca import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation

WHERE = Where("rows.jsonl", 3)


def read(**row: Any) -> list[tuple[str, str]]:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    assert example.where == WHERE
    return [(message.role, message.content) for message in example.messages]


def test_keeps_the_system_prompt() -> None:
    assert read(id="cot.1", system_prompt="Be brief.", question="Who?", response="Ada.") == [
        ("system", "Be brief."),
        ("user", "Who?"),
        ("assistant", "Ada."),
    ]


def test_leaves_a_blank_system_prompt_out() -> None:
    assert read(system_prompt="", question="Who?", response="Ada.") == [("user", "Who?"), ("assistant", "Ada.")]


def test_reads_an_answer_as_well() -> None:
    assert read(system_prompt="Be brief.", question="Who?", answer="Ada.") == [
        ("system", "Be brief."),
        ("user", "Who?"),
        ("assistant", "Ada."),
    ]


def test_recognises_its_columns() -> None:
    assert FORMAT.sniff({"system_prompt": 1, "question": 1, "response": 1})
    assert FORMAT.sniff({"system_prompt": 1, "question": 1, "answer": 1})
    assert not FORMAT.sniff({"question": 1, "answer": 1})
    assert not FORMAT.sniff({"system_prompt": 1, "question": 1})


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"system_prompt": "", "question": "Who?"}, MissingColumn, "response"),
        ({"system_prompt": 1, "question": "Who?", "response": "x"}, WrongType, "system_prompt"),
        ({"system_prompt": "", "question": None, "answer": "x"}, EmptyRow, "question"),
        ({"system_prompt": "", "question": "Who?", "answer": ""}, EmptyRow, "answer"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"rows\.jsonl:3: ") as caught:
        read(**row)
    assert caught.value.column == column
