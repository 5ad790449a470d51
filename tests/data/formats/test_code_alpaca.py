from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.code_alpaca import FORMAT
from tunesmith.spec.errors import MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation

WHERE = Where("rows.jsonl", 3)


def read(**row: Any) -> list[tuple[str, str]]:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    assert example.where == WHERE
    return [(message.role, message.content) for message in example.messages]


def test_puts_language_and_input_below_the_instruction() -> None:
    assert read(instruction="Sort.", input="[2, 1]", output="sorted(x)", lang="python") == [
        ("user", "Sort.\n\nLanguage: python\n\nInput: [2, 1]"),
        ("assistant", "sorted(x)"),
    ]


def test_leaves_out_what_says_nothing() -> None:
    assert read(instruction="Sort.", input="", output="x", language=None) == [("user", "Sort."), ("assistant", "x")]


def test_recognises_its_columns() -> None:
    assert FORMAT.sniff({"instruction": 1, "output": 1, "lang": 1})
    assert not FORMAT.sniff({"instruction": 1, "output": 1})


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"instruction": "a", "lang": "c"}, MissingColumn, "output"),
        ({"instruction": "a", "output": "b", "lang": 3}, WrongType, "lang"),
        ({"instruction": "a", "output": "b", "programming_language": []}, WrongType, "programming_language"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"rows\.jsonl:3: ") as caught:
        read(**row)
    assert caught.value.column == column
