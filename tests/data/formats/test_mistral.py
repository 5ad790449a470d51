from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.mistral import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation

WHERE = Where("rows.jsonl", 3)


def read(**row: Any) -> list[tuple[str, str]]:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    assert example.where == WHERE
    return [(message.role, message.content) for message in example.messages]


def test_takes_the_marked_turns_apart() -> None:
    assert read(mistral="<s>[INST] Hi [/INST] Yes?</s>[INST] Why? [/INST] So.</s>") == [
        ("user", "Hi"),
        ("assistant", "Yes?"),
        ("user", "Why?"),
        ("assistant", "So."),
    ]


def test_reads_a_system_prompt_in_marks_of_its_own() -> None:
    assert read(text="<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]Hi[/INST]Yes?</s>") == [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Yes?"),
    ]


def test_recognises_its_columns() -> None:
    assert FORMAT.sniff({"mistral": 1})
    assert not FORMAT.sniff({"text": "[INST]"})


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({}, MissingColumn, "mistral"),
        ({"text": "Hi"}, WrongType, "text"),
        ({"text": "Hm [INST] Hi [/INST] a"}, WrongType, "text"),
        ({"text": "[INST] Hi [/INST]"}, EmptyRow, "text[1]"),
        ({"mistral": "[AVAILABLE_TOOLS] [] [INST] Hi [/INST] a"}, WrongType, "mistral"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"rows\.jsonl:3: ") as caught:
        read(**row)
    assert caught.value.column == column
