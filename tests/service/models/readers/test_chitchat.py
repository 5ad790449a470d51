"""The chitchat data set becomes conversations in which the first speaker asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.service.models.aliases import ALIASES
from tunesmith.service.models.readers import Fetched
from tunesmith.service.models.readers.chitchat import conversation, read
from tunesmith.settings import Settings
from tunesmith.spec.errors import PullFailed


def said(*turns: tuple[str, str]) -> list[list[dict[str, str]]]:
    return [[{"sender": sender, "text": text}] for sender, text in turns]


def fetched(file: Path) -> Fetched:
    return Fetched(ALIASES["chitchat"], [file], Settings(), lambda stage, done: None)


def test_what_one_says_in_a_row_is_one_turn() -> None:
    assert conversation(said(("a", "Hello"), ("a", "You there?"), ("b", "Yes"))) == [
        {"role": "user", "content": "Hello\nYou there?"},
        {"role": "assistant", "content": "Yes"},
    ]


def test_ends_with_the_last_answer() -> None:
    turns = conversation(said(("a", "Hello"), ("b", "Hi"), ("a", "Bye")))
    assert [turn["content"] for turn in turns] == ["Hello", "Hi"]


@pytest.mark.parametrize("turns", [[], [("a", "Hello")], [("a", " "), ("b", "")]])
def test_nobody_answers(turns: list[tuple[str, str]]) -> None:
    assert conversation(said(*turns)) == []


def test_writes_openai_messages(tmp_path: Path) -> None:
    file = tmp_path / "dataset.json"
    file.write_text(json.dumps({"1": {"messages": said(("a", "Émile?"), ("b", "Oui"))}, "2": {"messages": []}}))
    assert read(fetched(file), tmp_path / "out") == "1 conversations"
    [row] = (tmp_path / "out" / "chat.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(row)["messages"][0] == {"role": "user", "content": "Émile?"}


def test_another_file_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "dataset.json"
    file.write_text("[1]")
    with pytest.raises(PullFailed, match="not the file that was expected"):
        read(fetched(file), tmp_path / "out")
