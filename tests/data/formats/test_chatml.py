from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.chatml import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation

WHERE = Where("rows.jsonl", 3)


def read(**row: Any) -> list[tuple[str, str]]:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    assert example.where == WHERE
    return [(message.role, message.content) for message in example.messages]


def test_takes_the_marked_turns_apart() -> None:
    assert read(
        chatml="<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes?<|im_end|>\n"
    ) == [("system", "Be brief."), ("user", "Hi"), ("assistant", "Yes?")]


def test_reads_a_text_column_whose_last_turn_is_open() -> None:
    assert read(text="<s><|im_start|>user\nHi<|im_end|><|im_start|>assistant\nYes?") == [
        ("user", "Hi"),
        ("assistant", "Yes?"),
    ]


def test_recognises_its_columns() -> None:
    assert FORMAT.sniff({"chatml": 1})
    assert not FORMAT.sniff({"text": "<|im_start|>"})


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({}, MissingColumn, "chatml"),
        ({"text": "Hi"}, WrongType, "text"),
        ({"text": "Hm <|im_start|>user\nHi<|im_end|>"}, WrongType, "text"),
        ({"text": "<|im_start|>narrator\nHi<|im_end|>"}, WrongType, "text[0]"),
        ({"text": "<|im_start|>user\n<|im_end|>"}, EmptyRow, "text[0]"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"rows\.jsonl:3: ") as caught:
        read(**row)
    assert caught.value.column == column
