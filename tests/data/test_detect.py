from __future__ import annotations

import pytest

from tunesmith.data.detect import as_row, format_of, named, renamed
from tunesmith.spec.errors import UnknownFormat, UnknownName, Where, WrongType

WHERE = Where("rows.jsonl", 5)


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ("instruction output", "wizardlm"),
        ("instruction output history", "alpaca"),
        ("instruction input output lang", "code_alpaca"),
        ("instruction response", "dolly"),
        ("instruction context response category", "dolly"),
        ("prompt response", "chat"),
        ("query response", "chat"),
        ("user assistant", "chat"),
        ("system user assistant", "llama_chat"),
        ("human assistant", "anthropic"),
        ("Human Assistant", "claude"),
        ("id system_prompt question response", "orca"),
        ("system_prompt question answer", "orca"),
        ("image question answer", "vision_qa"),
        ("id image conversations", "vision_qa"),
        ("image caption", "vision"),
        ("image text", "vision"),
        ("conversations source", "lima"),
        ("id conversations", "vicuna"),
        ("idx conversations", "wizardlm"),
        ("id conversations source model", "sharegpt"),
        ("messages tools", "function_calling"),
        ("id query answers tools", "function_calling"),
        ("system chat", "function_calling"),
        ("turns", "multi_turn"),
        ("text label", "label"),
        ("sentence label idx", "label"),
        ("prompt chosen rejected", "preference"),
        ("chosen rejected messages prompt_id score_chosen", "preference"),
        ("input preferred_output non_preferred_output", "preference"),
        ("message_id parent_id message_tree_id text role rank labels", "oasst"),
        ("message_tree_id tree_state prompt", "oasst"),
        ("guanaco text", "guanaco"),
        ("instruction input output text", "alpaca"),
        ("conversations", "sharegpt"),
        ("id conversations text", "sharegpt"),
        ("messages", "openai"),
        ("prompt prompt_id messages", "openai"),
        ("messages conversations", "openai"),
        ("question answer", "qa"),
        ("question answer context text", "qa"),
        ("id title context question answers", "qa"),
        ("prompt completion", "completion"),
        ("prompt completion text", "completion"),
        ("text", "text"),
        ("text meta", "text"),
    ],
)
def test_finds_the_most_special_format(columns: str, name: str) -> None:
    assert format_of(dict.fromkeys(columns.split()), WHERE).name == name


def test_never_looks_at_values() -> None:
    assert format_of({"text": "an instruction, its input and output; a question and its answer"}, WHERE).name == "text"


@pytest.mark.parametrize("row", [{}, {"a": 1}, {"instruction": "x", "answer": "y"}, {1: 2}])
def test_names_the_columns_of_a_row_that_no_format_has(row: dict[str, object]) -> None:
    with pytest.raises(UnknownFormat, match=r"rows\.jsonl:5: no format has these columns"):
        format_of(row, WHERE)


@pytest.mark.parametrize(
    ("columns", "near", "missing"),
    [
        ("instruction input", "alpaca", "output"),
        ("input output", "alpaca", "instruction"),
        ("instruction", "wizardlm", "output"),
        ("chosen prompt", "preference", "rejected"),
    ],
)
def test_names_the_column_that_a_row_lacks(columns: str, near: str, missing: str) -> None:
    with pytest.raises(UnknownFormat, match=f"With '{missing}' it would be {near}") as caught:
        format_of(dict.fromkeys(columns.split()), WHERE)
    assert caught.value.column == missing


def test_suggests_the_format_that_was_meant() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'alpaca'"):
        named("alpacca")


def test_renames_columns_and_keeps_the_others() -> None:
    row = {"instruction": "a", "response": "b", "output": "old"}
    assert renamed(row, {"output": "response"}) == {"instruction": "a", "output": "b"}


def test_renames_nothing_in_a_row_without_the_column() -> None:
    assert renamed({"text": "a"}, {"output": "response"}) == {"text": "a"}


def test_takes_a_string_for_a_text_and_a_list_for_turns() -> None:
    assert as_row("hello", WHERE) == {"text": "hello"}
    assert as_row([{"role": "user"}], WHERE) == {"conversations": [{"role": "user"}]}


@pytest.mark.parametrize("value", [3, None, True])
def test_says_that_a_row_has_no_columns(value: object) -> None:
    with pytest.raises(WrongType, match=f"rows.jsonl:5: the row is {value}, which is not an object with columns"):
        as_row(value, WHERE)
