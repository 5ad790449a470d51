from __future__ import annotations

import pytest

from tunesmith.data.leakage import extractive, gives_itself_away
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Conversation, Example, Message, PlainText, Preference, PromptCompletion

HERE = Where("a", 1)
ANSWER = "twenty characters it is"


def chat(*turns: str, roles: tuple[str, ...] = ("user", "assistant") * 3, train: bool = True) -> Conversation:
    pairs = zip(roles, turns, strict=False)
    return Conversation(tuple(Message(role, turn, train) for role, turn in pairs), HERE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "example",
    [
        chat(f"Say: {ANSWER}!", ANSWER),
        chat(f"Say: {ANSWER}!", f"  {ANSWER}\n"),
        chat("hello", "hi", f"Now {ANSWER}", ANSWER),
        chat(f"The secret is {ANSWER}", "what?", ANSWER, roles=("system", "user", "assistant")),
        PromptCompletion(f"{ANSWER} and again ", ANSWER, HERE),
        Preference((Message("user", ANSWER),), (Message("assistant", ANSWER),), (Message("assistant", "no"),), HERE),
    ],
)
def test_finds_a_whole_answer_in_what_comes_before_it(example: Example) -> None:
    assert gives_itself_away(example, "openai")


@pytest.mark.parametrize(
    "example",
    [
        chat("Say yes", "yes"),
        chat("a question of some length", ANSWER),
        chat("hello", ANSWER, ANSWER, "an answer of its own, and long"),
        chat(f"Say: {ANSWER}!", ANSWER, train=False),
        chat("ask", ANSWER, ANSWER, roles=("user", "tool", "assistant")),
        PlainText(ANSWER + ANSWER, HERE),
        PromptCompletion("once upon a time ", ANSWER, HERE),
        Preference((Message("user", ANSWER),), (Message("assistant", "no"),), (Message("assistant", ANSWER),), HERE),
    ],
)
def test_leaves_other_answers_alone(example: Example) -> None:
    assert not gives_itself_away(example, "openai")


def test_an_answer_may_stand_in_its_context() -> None:
    assert extractive("qa")
    assert not gives_itself_away(chat(f"Context: {ANSWER}", ANSWER), "qa")
