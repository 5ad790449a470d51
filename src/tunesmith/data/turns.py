"""Reads lists of turns, whichever names they use, and makes conversations that can be trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tunesmith.data.columns import Row, encodable
from tunesmith.spec.errors import EmptyRow, MissingColumn, Where, WrongType
from tunesmith.spec.examples import Conversation, Message, Role

ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}
"""What data sets call the speakers, in lower case -> who is meant."""


def turns(row: Row, column: str, where: Where) -> list[Message]:
    """Read a column that holds a list of ``{"role", "content"}`` or ``{"from", "value"}``.

    Raises:
        RowFault: the column is missing, or a turn is not as it should be; the fault names the turn, counted from 0.
    """
    if column not in row:
        raise MissingColumn(column, where, [str(name) for name in row])
    value = row[column]
    if not isinstance(value, list):
        raise WrongType(column, where, value, "a list of turns")
    if not value:
        raise EmptyRow(column, where)
    return [_turn(turn, f"{column}[{place}]", where) for place, turn in enumerate(value)]


def conversation(messages: Sequence[Message], column: str, where: Where) -> Conversation:
    """Make a conversation; a blank system turn is left out.

    Raises:
        WrongType: a system turn is not the first, or no assistant turn would be trained.
    """
    spoken = tuple(message for message in messages if message.role != "system" or message.content)
    if any(message.role == "system" for message in spoken[1:]):
        raise WrongType(column, where, "a later system turn", "a list with its system turn first")
    if not any(message.role == "assistant" and message.train for message in spoken):
        raise WrongType(column, where, [message.role for message in spoken], "a list with an assistant turn to train")
    return Conversation(spoken, where)


def _turn(turn: object, name: str, where: Where) -> Message:
    if not isinstance(turn, Mapping):
        raise WrongType(name, where, turn, "an object with 'role' and 'content', or 'from' and 'value'")
    role_key, content_key = ("from", "value") if "from" in turn else ("role", "content")
    for key in (role_key, content_key):
        if key not in turn:
            raise WrongType(name, where, turn, f"an object with '{role_key}' and '{content_key}'")
    role = _role(turn[role_key], f"{name}.{role_key}", where)
    content = _content(turn[content_key], f"{name}.{content_key}", where)
    if not content and role in ("user", "assistant"):
        raise EmptyRow(f"{name}.{content_key}", where)
    return Message(role, content, train=_weight(turn, name, where))


def _role(value: object, name: str, where: Where) -> Role:
    role = ROLES.get(value.lower()) if isinstance(value, str) else None
    if role is None:
        raise WrongType(name, where, value, f"one of {', '.join(ROLES)}")
    return role


def _content(value: object, name: str, where: Where) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        value = "\n".join(_part(part, f"{name}[{place}]", where) for place, part in enumerate(value))
    if not isinstance(value, str):
        raise WrongType(name, where, value, "text")
    return "" if value.isspace() else encodable(value, name, where)


def _part(part: object, name: str, where: Where) -> str:
    text = part.get("text") if isinstance(part, Mapping) and part.get("type", "text") == "text" else None
    if not isinstance(text, str):
        raise WrongType(name, where, part, "a text part, as in {'type': 'text', 'text': ...}")
    return text


def _weight(turn: Mapping[object, object], name: str, where: Where) -> bool:
    weight = turn.get("weight")
    if weight not in (None, 0, 1):
        raise WrongType(f"{name}.weight", where, weight, "0 or 1")
    return weight != 0
