"""Reads lists of turns, whichever names they use, and makes conversations that can be trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from tunesmith.data.columns import Row, encodable
from tunesmith.data.tools import calls
from tunesmith.spec.errors import EmptyRow, MissingColumn, NoWeight, Where, WrongType
from tunesmith.spec.examples import Conversation, Message, Role

ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "ai": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}
"""What data sets call the speakers, in lower case -> who is meant."""

_PAIRS: Final = (("user", "assistant"), ("human", "assistant"), ("human", "gpt"), ("question", "answer"))
"""Names under which one entry holds both a question and its answer."""
_SHAPES: Final = "an object with 'role' and 'content', or 'from' and 'value'"


def turns(row: Row, column: str, where: Where) -> list[Message]:
    """Read a column that holds a list of turns.

    A turn is ``{"role", "content"}`` or ``{"from", "value"}``; an entry may also hold a question and its answer, as
    ``{"user", "assistant"}`` or as a list of both, or be bare text: user and assistant then take turns.

    Raises:
        RowFault: the column is missing, or a turn is not as it should be; the fault names the turn, counted from 0.
    """
    if column not in row:
        raise MissingColumn(column, where, [str(name) for name in row])
    return turns_of(row[column], column, where)


def turns_of(value: object, column: str, where: Where) -> list[Message]:
    """Read a list of turns from a value that stands in a column.

    Raises:
        RowFault: as ``turns``.
    """
    if not isinstance(value, list):
        raise WrongType(column, where, value, "a list of turns")
    if not value:
        raise EmptyRow(column, where)
    read = [said for place, turn in enumerate(value) for said in _turns(turn, place, f"{column}[{place}]", where)]
    return [message for message, _ in _answers_in_order(read)]


def conversation(messages: Sequence[Message], column: str, where: Where, *, tools: str = "") -> Conversation:
    """Make a conversation; a blank system turn is left out.

    Raises:
        WrongType: a system turn is not the first, or there is no assistant turn.
        NoWeight: no assistant turn is to be trained.
    """
    spoken = tuple(message for message in messages if message.role != "system" or message.content)
    if any(message.role == "system" for message in spoken[1:]):
        raise WrongType(column, where, "a later system turn", "a list with its system turn first")
    answers = [message for message in spoken if message.role == "assistant"]
    if not answers:
        raise WrongType(column, where, [message.role for message in spoken], "a list with an assistant turn to train")
    if not any(message.train for message in answers):
        raise NoWeight(column, where)
    return Conversation(spoken, where, tools)


def said(role: Role, text: str, column: str, where: Where) -> Message:
    """Make a turn of a text that a column holds.

    Raises:
        EmptyRow: user or assistant say nothing.
        UnreadableRow: it holds bytes that are not UTF-8.
    """
    if role in ("user", "assistant") and not text.strip():
        raise EmptyRow(column, where)
    return Message(role, encodable(text, column, where))


_Read = tuple[Message, str | list[str]]
"""A turn with the names of its calls, or the name of the call that it answers."""


def _turns(turn: object, place: int, name: str, where: Where) -> Iterator[_Read]:
    pair = next((pair for pair in _PAIRS if isinstance(turn, Mapping) and set(pair) <= turn.keys()), None)
    if isinstance(turn, str):
        yield said("assistant" if place % 2 else "user", turn, name, where), ""
    elif isinstance(turn, list):
        yield from _pair(turn, name, where)
    elif isinstance(turn, Mapping) and pair:
        for role, key in zip(("user", "assistant"), pair, strict=True):
            content = _content(turn[key], f"{name}.{key}", where)
            yield said("user" if role == "user" else "assistant", content, f"{name}.{key}", where), ""
    else:
        yield _turn(turn, name, where)


def _pair(turn: list[object], name: str, where: Where) -> Iterator[_Read]:
    if len(turn) != 2:
        raise WrongType(name, where, turn, "a pair of question and answer")
    for place, value in enumerate(turn):
        if not isinstance(value, str):
            raise WrongType(f"{name}[{place}]", where, value, "text")
        yield said("assistant" if place else "user", value, f"{name}[{place}]", where), ""


def _turn(turn: object, name: str, where: Where) -> _Read:
    if not isinstance(turn, Mapping):
        raise WrongType(name, where, turn, _SHAPES)
    role_key, content_key = ("from", "value") if "from" in turn else ("role", "content")
    called = _calls(turn, name, where)
    for key in (role_key, content_key):
        if key not in turn and not (key == content_key and called):
            raise WrongType(name, where, turn, f"an object with '{role_key}' and '{content_key}'")
    role = _role(turn[role_key], f"{name}.{role_key}", where)
    if turn[role_key] == "function_call":
        return Message(role, "", tool_calls=calls(turn[content_key], f"{name}.{content_key}", where)), ""
    content = _content(turn.get(content_key), f"{name}.{content_key}", where)
    if not content and not called and role in ("user", "assistant"):
        raise EmptyRow(f"{name}.{content_key}", where)
    if called and role != "assistant":
        raise WrongType(f"{name}.{role_key}", where, role, "the assistant, who alone makes calls")
    message = Message(role, content, train=_weight(turn, name, where), tool_calls=called)
    return message, _call_names(turn) if called else _answered(turn)


def _calls(turn: Mapping[object, object], name: str, where: Where) -> str:
    key = "tool_calls" if turn.get("tool_calls") else "function_call"
    return calls(turn.get(key), f"{name}.{key}", where)


def _call_names(turn: Mapping[object, object]) -> list[str]:
    listed = turn.get("tool_calls")
    found = [call.get("id") for call in listed if isinstance(call, Mapping)] if isinstance(listed, list) else []
    return [call for call in found if isinstance(call, str)]


def _answered(turn: Mapping[object, object]) -> str:
    name = turn.get("tool_call_id")
    return name if isinstance(name, str) else ""


def _answers_in_order(read: Sequence[_Read]) -> Iterator[_Read]:
    """Put what tools answer into the order of the calls: only the order says later which answers which."""
    asked: list[str] = []
    for is_answer, group in groupby(read, key=lambda each: each[0].role == "tool"):
        some = list(group)
        if is_answer and all(name in asked for _, name in some):
            some.sort(key=lambda each: asked.index(str(each[1])))
        yield from some
        names = some[-1][1]
        asked = names if isinstance(names, list) else []


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
    if weight is None:
        return True
    if weight not in (0, 1):
        raise WrongType(f"{name}.weight", where, weight, "0 or 1")
    return weight != 0
