"""Answers that stand in what comes before them: such a row teaches to copy, not to answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tunesmith.data.formats import FORMATS
from tunesmith.spec.examples import Conversation, Example, Message, Preference, PromptCompletion

SHORTEST: Final = 20
"""Characters from which an answer is looked for; a short one (yes, a name, a number) may well stand in its question."""


def gives_itself_away(example: Example, format_name: str) -> bool:
    """Whether a whole trained answer stands, word for word, in what its user or the system said before.

    Rows of formats that read a ``context`` are passed over: there the answer is meant to be found in the text. So are
    the results of tools, which an answer may well repeat.
    """
    if extractive(format_name):
        return False
    match example:
        case Conversation():
            return _in_turns(example.messages)
        case Preference():
            return _in_turns((*example.messages, *example.chosen))
        case PromptCompletion():
            return _stands_in(example.completion, [example.prompt])
    return False


def extractive(format_name: str) -> bool:
    """Whether a format's rows bring the text that the answer is taken from."""
    known = FORMATS.get(format_name)
    return known is not None and "context" in (*known.columns, *known.optional)


def _in_turns(turns: Sequence[Message]) -> bool:
    said: list[str] = []
    for turn in turns:
        if turn.role == "assistant" and turn.train and _stands_in(turn.content, said):
            return True
        if turn.role in ("user", "system"):
            said.append(turn.content)
    return False


def _stands_in(answer: str, said: Sequence[str]) -> bool:
    answer = answer.strip()
    return len(answer) >= SHORTEST and any(answer in text for text in said)
