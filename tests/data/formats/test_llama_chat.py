from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.llama_chat import FORMAT
from tunesmith.spec.errors import MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation

WHERE = Where("rows.jsonl", 3)


def read(**row: Any) -> list[tuple[str, str]]:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    assert example.where == WHERE
    return [(message.role, message.content) for message in example.messages]


def test_keeps_the_system_turn() -> None:
    assert read(system="Be brief.", user="Hi", assistant="Yes?") == [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Yes?"),
    ]


def test_leaves_a_blank_system_turn_out() -> None:
    assert read(system="", user="Hi", assistant="Yes?") == [("user", "Hi"), ("assistant", "Yes?")]


def test_reads_llama_2s_writing_when_named_by_hand() -> None:
    assert read(
        text="<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Yes? </s><s>[INST] Good [/INST] Bye. </s>"
    ) == [("system", "Be brief."), ("user", "Hi"), ("assistant", "Yes?"), ("user", "Good"), ("assistant", "Bye.")]


def test_recognises_its_columns() -> None:
    assert FORMAT.sniff({"system": 1, "user": 1, "assistant": 1})
    assert not FORMAT.sniff({"user": 1, "assistant": 1})


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"system": "s", "user": "Hi"}, MissingColumn, "assistant"),
        ({"system": [], "user": "Hi", "assistant": "x"}, WrongType, "system"),
        ({"text": "plain"}, WrongType, "text"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"rows\.jsonl:3: ") as caught:
        read(**row)
    assert caught.value.column == column
