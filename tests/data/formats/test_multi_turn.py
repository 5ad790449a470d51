from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.multi_turn import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation

WHERE = Where("rows.jsonl", 3)


def read(**row: Any) -> list[tuple[str, str]]:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    assert example.where == WHERE
    return [(message.role, message.content) for message in example.messages]


def test_reads_turns_with_roles() -> None:
    assert read(turns=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]) == [
        ("user", "Hi"),
        ("assistant", "Yes?"),
    ]


def test_reads_pairs_as_objects() -> None:
    assert read(turns=[{"user": "a", "assistant": "b"}, {"question": "c", "answer": "d"}]) == [
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
    ]


def test_reads_pairs_as_lists() -> None:
    assert read(turns=[["a", "b"], ["c", "d"]], system="Be brief.") == [
        ("system", "Be brief."),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
    ]


def test_reads_bare_texts_in_turn() -> None:
    assert read(turns=["a", "b", "c", "d"]) == [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]


def test_recognises_its_columns() -> None:
    assert FORMAT.sniff({"turns": 1})
    assert not FORMAT.sniff({"turn": 1})


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({}, MissingColumn, "turns"),
        ({"turns": []}, EmptyRow, "turns"),
        ({"turns": "a"}, WrongType, "turns"),
        ({"turns": ["a"]}, WrongType, "turns"),
        ({"turns": ["a", " "]}, EmptyRow, "turns[1]"),
        ({"turns": [["a"]]}, WrongType, "turns[0]"),
        ({"turns": [["a", 1]]}, WrongType, "turns[0][1]"),
        ({"turns": [{"user": "a", "assistant": None}]}, EmptyRow, "turns[0].assistant"),
        ({"turns": [{"user": 1, "assistant": "b"}]}, WrongType, "turns[0].user"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"rows\.jsonl:3: ") as caught:
        read(**row)
    assert caught.value.column == column
