"""The ChatterBot corpus becomes conversations that end with an answer."""

from __future__ import annotations

import json
from pathlib import Path

from tunesmith.service.models.readers.chatterbot import conversations, write_conversations


def test_a_pair_is_a_conversation() -> None:
    assert list(conversations([["Hi", "Hello"]], alternatives=False)) == [("Hi", "Hello")]


def test_several_lines_are_turns_in_turn() -> None:
    talk = ["Hello", "Hi", "How are you?", "Well."]
    assert list(conversations([talk], alternatives=False)) == [tuple(talk)]


def test_a_last_question_without_an_answer_is_left_out() -> None:
    assert list(conversations([["Hello", "Hi", "And you?"]], alternatives=False)) == [("Hello", "Hi")]


def test_several_answers_give_a_conversation_each() -> None:
    entry = ["What is a computer?", "A machine.", "This."]
    assert list(conversations([entry], alternatives=True)) == [(entry[0], entry[1]), (entry[0], entry[2])]


def test_entries_without_an_answer_are_left_out() -> None:
    assert list(conversations(["only a question", ["alone"], [], ["a", None], ["b", "  "]], alternatives=False)) == []


def test_values_that_yaml_reads_as_numbers_stay_text() -> None:
    assert list(conversations([["Two and two?", 4]], alternatives=False)) == [("Two and two?", "4")]


def test_writes_openai_messages(tmp_path: Path) -> None:
    food, emotion = tmp_path / "food.yml", tmp_path / "emotion.yml"
    food.write_text("categories: [food]\nconversations:\n- - Soup?\n  - Émincé!\n")
    emotion.write_text("conversations:\n- - Sad?\n  - No.\n  - Never.\n")
    target = tmp_path / "chat.jsonl"
    assert write_conversations([food, emotion], target) == 3
    rows = [json.loads(line)["messages"] for line in target.read_text().splitlines()]
    assert rows[0] == [{"role": "user", "content": "Soup?"}, {"role": "assistant", "content": "Émincé!"}]
    assert [row[1]["content"] for row in rows[1:]] == ["No.", "Never."]
