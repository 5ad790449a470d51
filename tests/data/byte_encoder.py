"""A small real encoder: a token is a byte, and what is said last is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunesmith.data.token_rows import EncodedRow
from tunesmith.spec.errors import TemplateRefused
from tunesmith.spec.examples import (
    Conversation,
    Example,
    LabelledText,
    Message,
    PlainText,
    Preference,
    PromptCompletion,
)


class ByteEncoder:
    """Encodes bytes; refuses what says "refuse me"."""

    def __init__(self, fingerprint: str = "bytes", *, train: bool = True) -> None:
        self.fingerprint = fingerprint
        self.calls = 0
        self._train = train

    def __call__(self, example: Example) -> list[EncodedRow]:
        """One row for each answer, with everything before it."""
        self.calls += 1
        if isinstance(example, PlainText | LabelledText):
            return [self._row("", example.text)]
        if isinstance(example, Preference):
            asked, *answers = ("".join(turn.content for turn in turns) for turns in _sides(example))
            return [self._row(asked, answer) for answer in answers]
        if isinstance(example, PromptCompletion):
            return [self._row(example.prompt, example.completion)]
        if not isinstance(example, Conversation):
            raise TemplateRefused(example.where, "it has no bytes of text")
        if any("refuse me" in turn.content for turn in example.messages):
            raise TemplateRefused(example.where, "it says so")
        answers = [place for place, turn in enumerate(example.messages) if turn.role == "assistant"]
        before = ["".join(turn.content for turn in example.messages[:place]) for place in answers]
        return [self._row(asked, example.messages[place].content) for asked, place in zip(before, answers, strict=True)]

    def _row(self, asked: str, answer: str) -> EncodedRow:
        context, trained = asked.encode(), answer.encode()
        mask = [False] * len(context) + [self._train] * len(trained)
        return EncodedRow([*context, *trained], [False, *mask[1:]])


def _sides(example: Preference) -> tuple[tuple[Message, ...], ...]:
    return example.messages, example.chosen, example.rejected


def write_chats(path: Path, chats: list[tuple[str, ...]]) -> Path:
    """Write conversations in which user and assistant take turns."""
    lines = []
    for turns in chats:
        roles = ("user", "assistant") * len(turns)
        messages: list[dict[str, Any]] = [
            {"role": role, "content": content} for role, content in zip(roles, turns, strict=False)
        ]
        lines.append(json.dumps({"messages": messages}))
    path.write_text("\n".join(lines) + "\n")
    return path
