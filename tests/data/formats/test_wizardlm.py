from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.wizardlm import FORMAT
from tunesmith.spec.errors import MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Conversation

WHERE = Where("rows.jsonl", 3)


def read(**row: Any) -> list[tuple[str, str]]:
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Conversation)
    assert example.where == WHERE
    return [(message.role, message.content) for message in example.messages]


def test_leaves_both_sides_as_they_stand() -> None:
    assert read(instruction="Hi", output="Yes?") == [("user", "Hi"), ("assistant", "Yes?")]


def test_reads_the_second_version() -> None:
    assert read(idx="a", conversations=[{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes?"}]) == [
        ("user", "Hi"),
        ("assistant", "Yes?"),
    ]


def test_recognises_its_columns() -> None:
    assert FORMAT.sniff({"instruction": 1, "output": 1})
    assert FORMAT.sniff({"idx": 1, "conversations": 1})
    assert not FORMAT.sniff({"instruction": 1, "input": 1, "output": 1})
    assert not FORMAT.sniff({"conversations": 1})


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"instruction": "Hi"}, MissingColumn, "output"),
        ({"instruction": [], "output": "x"}, WrongType, "instruction"),
        ({"conversations": 3}, WrongType, "conversations"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"rows\.jsonl:3: ") as caught:
        read(**row)
    assert caught.value.column == column
