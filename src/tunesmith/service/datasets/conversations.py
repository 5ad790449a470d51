"""Conversation histories become training rows: what people answered is learned, what an AI wrote is only context.

A row is a conversation in OpenAI's chat format; ``"weight": 0`` keeps an answer out of training. Whatever is left out
is counted, so that nothing disappears in silence.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from tunesmith.data.turns import ROLES
from tunesmith.runs.durable import replacing, room_for
from tunesmith.spec.errors import NoAnswerToLearn

AI_FLAGS: Final = frozenset(
    {"wasaigenerated", "aigenerated", "isaigenerated", "isai", "ai", "generatedbyai", "isgenerated", "generated"}
)
"""Names under which a history marks what an AI wrote, in lower case and without separators."""
YES: Final = frozenset({"true", "yes", "1"})
SPEAKERS: Final = ("user", "assistant")


@dataclass
class Tally:
    """What became of the messages of a history."""

    conversations: int = 0
    """As they came."""
    used: int = 0
    """Conversations with an answer that is learned."""
    messages: int = 0
    trained_answers: int = 0
    context_answers: int = 0
    """Answers of an AI that stay as context of what is learned after them."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Messages that are in no row, by the reason."""
    joined: int = 0
    """Messages that became part of the one before, as the same side spoke twice."""

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers as plain data."""
        return {**vars(self), "left_out": dict(self.left_out)}


@dataclass(frozen=True)
class _Said:
    role: str
    content: str
    by_ai: bool


def write_conversations(path: Path, conversations: Iterable[Mapping[str, Any]]) -> Tally:
    """Write the rows of a history to a file, whole or not at all, and say what became of it.

    Raises:
        NoAnswerToLearn: no conversation has an answer that a person wrote.
        DiskFull: there is no room for it.
    """
    tally = Tally()
    rows = [row for conversation in conversations if (row := training_row(conversation, tally)) is not None]
    if not rows:
        raise NoAnswerToLearn(tally.conversations, dict(tally.left_out))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with room_for(path.parent, 2**20), replacing(path) as file:
        for row in rows:
            file.write(json.dumps(row).encode() + b"\n")
    return tally


def training_row(conversation: Mapping[str, Any], tally: Tally) -> dict[str, Any] | None:
    """Make the row of a conversation; None if it has nothing to learn."""
    messages = conversation["messages"]
    tally.conversations += 1
    tally.messages += len(messages)
    system, said = _sorted(messages, _flagged(conversation), tally)
    turns = _alternating(said, tally)
    last = max((place for place, turn in enumerate(turns) if _is_learned(turn)), default=-1)
    if last < 0:
        _leave_out(tally, "no answer of a person in its conversation", len(turns) + bool(system))
        return None
    _leave_out(tally, "nothing is learned after it", len(turns) - last - 1)
    kept = turns[: last + 1]
    tally.used += 1
    tally.trained_answers += sum(_is_learned(turn) for turn in kept)
    tally.context_answers += sum(turn.by_ai for turn in kept)
    head = [{"role": "system", "content": system}] if system else []
    return {"messages": [*head, *map(_rendered, kept)]}


def _leave_out(tally: Tally, reason: str, count: int) -> None:
    if count:
        tally.left_out[reason] += count


def _sorted(messages: Sequence[Mapping[str, Any]], all_by_ai: bool, tally: Tally) -> tuple[str, list[_Said]]:
    """Return the system prompt, and what user and assistant say from the user's first words on."""
    system: list[str] = []
    said: list[_Said] = []
    for message in messages:
        role = ROLES.get(str(message["role"]).lower())
        content = (message.get("content") or "").strip()
        if not content:
            tally.left_out["empty"] += 1
        elif role == "system" and not said:
            system.append(content)
        elif role == "system":
            tally.left_out["system message after the beginning"] += 1
        elif role not in SPEAKERS:
            tally.left_out["unknown role"] += 1
        elif role == "assistant" and not said:
            tally.left_out["answer before the user's first message"] += 1
        else:
            by_ai = role == "assistant" and (all_by_ai or _flagged(message))
            said.append(_Said(role, content, by_ai))
    tally.joined += max(0, len(system) - 1)
    return "\n".join(system), said


def _alternating(said: Sequence[_Said], tally: Tally) -> list[_Said]:
    """Join what one side says in a row; beside a person's answer an AI's is left out, as the two cannot be one turn."""
    turns: list[_Said] = []
    for role, group in groupby(said, key=lambda each: each.role):
        spoken = list(group)
        people = [each for each in spoken if not each.by_ai]
        chosen = people or spoken
        _leave_out(tally, "written by an AI", len(spoken) - len(chosen))
        tally.joined += len(chosen) - 1
        turns.append(_Said(role, "\n".join(each.content for each in chosen), by_ai=not people))
    return turns


def _is_learned(turn: _Said) -> bool:
    return turn.role == "assistant" and not turn.by_ai


def _rendered(turn: _Said) -> dict[str, Any]:
    weight = {"weight": 0 if turn.by_ai else 1} if turn.role == "assistant" else {}
    return {"role": turn.role, "content": turn.content, **weight}


def _flagged(entry: Mapping[str, Any]) -> bool:
    """Whether a message or a conversation is marked as written by an AI, under any of the usual names."""
    return any(
        value is True or str(value).lower() in YES
        for name, value in entry.items()
        if re.sub(r"[\W_]+", "", name).lower() in AI_FLAGS
    )
