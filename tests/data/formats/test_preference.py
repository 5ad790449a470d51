from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.formats.preference import FORMAT
from tunesmith.spec.errors import EmptyRow, MissingColumn, RowFault, Where, WrongType
from tunesmith.spec.examples import Message, Preference

WHERE = Where("pairs.jsonl", 4)

Said = list[tuple[str, str]]


def said(messages: tuple[Message, ...]) -> Said:
    return [(message.role, message.content) for message in messages]


def read(**row: Any) -> tuple[Said, Said, Said]:
    assert FORMAT.sniff(row)
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Preference)
    assert example.where == WHERE
    return said(example.messages), said(example.chosen), said(example.rejected)


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


HI, YES, NO = turn("user", "Hi"), turn("assistant", "Yes?"), turn("assistant", "No.")
EXPECTED: tuple[Said, Said, Said] = ([("user", "Hi")], [("assistant", "Yes?")], [("assistant", "No.")])


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Hi", "chosen": "Yes?", "rejected": "No."},
        {"question": "Hi", "chosen": "Yes?", "rejected": "No."},
        {"instruction": "Hi", "input": "", "chosen": "Yes?", "rejected": "No."},
        {"prompt": [HI], "chosen": [YES], "rejected": [NO]},
        {"prompt": "Hi", "chosen": [HI, YES], "rejected": [HI, NO], "score_chosen": 9},
        {"chosen": [HI, YES], "rejected": [HI, NO]},
        {"chosen": "\n\nHuman: Hi\n\nAssistant: Yes?", "rejected": "\n\nHuman: Hi\n\nAssistant: No."},
        {"input": {"messages": [HI], "tools": []}, "preferred_output": [YES], "non_preferred_output": [NO]},
        {
            "conversations": [{"from": "human", "value": "Hi"}],
            "chosen": {"from": "gpt", "value": "Yes?"},
            "rejected": {"from": "gpt", "value": "No."},
        },
        {"messages": [HI], "chosen": "Yes?", "rejected": "No."},
    ],
)
def test_reads_every_way_to_write_a_preference(row: dict[str, Any]) -> None:
    assert read(**row) == EXPECTED


def test_finds_where_two_conversations_part() -> None:
    more = [turn("user", "And?"), turn("assistant", "So.")]
    asked, better, worse = read(chosen=[HI, YES, *more], rejected=[HI, YES, more[0], NO])
    assert asked == [("user", "Hi"), ("assistant", "Yes?"), ("user", "And?")]
    assert (better, worse) == ([("assistant", "So.")], [("assistant", "No.")])


def test_puts_a_system_column_first() -> None:
    assert read(prompt="Hi", chosen="Yes?", rejected="No.", system="Be brief.")[0][0] == ("system", "Be brief.")
    assert read(chosen=[HI, YES], rejected=[HI, NO], system="Be brief.")[0][0] == ("system", "Be brief.")


def test_keeps_the_tools_that_both_answers_may_call() -> None:
    given = {"messages": [HI], "tools": [{"type": "function", "function": {"name": "f"}}]}
    row = {"input": given, "preferred_output": [YES], "non_preferred_output": [NO]}
    [example] = FORMAT.examples(row, WHERE)
    assert isinstance(example, Preference)
    assert example.tools == '[{"type": "function", "function": {"name": "f"}}]'


@pytest.mark.parametrize(
    ("row", "fault", "column"),
    [
        ({"prompt": "Hi", "chosen": "a"}, MissingColumn, "rejected"),
        ({"prompt": "Hi", "rejected": "a"}, MissingColumn, "chosen"),
        ({"prompt": "Hi", "chosen": "a", "rejected": "a"}, WrongType, "rejected"),
        ({"prompt": "Hi", "chosen": "", "rejected": "a"}, EmptyRow, "chosen"),
        ({"prompt": "Hi", "chosen": 1, "rejected": "a"}, WrongType, "chosen"),
        ({"prompt": 3, "chosen": "a", "rejected": "b"}, WrongType, "prompt"),
        ({"chosen": "a", "rejected": "b"}, WrongType, "chosen"),
        ({"chosen": [YES], "rejected": [NO]}, WrongType, "chosen"),
        ({"chosen": [HI, YES], "rejected": [HI]}, WrongType, "rejected"),
        ({"chosen": [HI, YES], "rejected": [turn("user", "Ho"), NO]}, WrongType, "chosen"),
        ({"prompt": "Hi", "chosen": [YES, HI], "rejected": [NO]}, WrongType, "chosen"),
        ({"input": [HI], "preferred_output": [YES], "non_preferred_output": [NO]}, WrongType, "input"),
        ({"input": {}, "preferred_output": [YES], "non_preferred_output": [NO]}, WrongType, "input.messages"),
    ],
)
def test_names_the_column_at_fault(row: dict[str, Any], fault: type[RowFault], column: str) -> None:
    with pytest.raises(fault, match=r"pairs\.jsonl:4: ") as caught:
        list(FORMAT.examples(row, WHERE))
    assert caught.value.column == column
