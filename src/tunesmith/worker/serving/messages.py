"""OpenAI's messages and tools to the conversation that a chat template renders."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from tunesmith.spec.errors import BadValue, ContentTooLarge, UnknownKey, Where
from tunesmith.spec.examples import PICTURE_MARK, Conversation, Message, Role
from tunesmith.worker.serving.fields import flag

ROLES: Final = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
"""OpenAI's roles, and what templates call them."""
READ: Final = frozenset({"role", "content", "tool_calls", "tool_call_id"})
HERE: Final = Where("messages", 1)
PICTURE: Final = "image_url"
"""OpenAI's type of a part that shows a picture."""
DATA: Final = re.compile(r"data:image/[a-z0-9.+-]+;base64,", re.IGNORECASE)
MOST_BYTES: Final = 25_000_000
"""Bytes of one picture, at most."""


def read_conversation(body: Mapping[str, Any]) -> Conversation:
    """Read the messages of a request, in which a mark stands for each picture, and the tools that it offers.

    Raises:
        BadValue: something is not as OpenAI documents it.
        UnknownKey: a message has a key that nothing reads.
    """
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise BadValue("messages", given, "a list of messages with role and content")
    messages = tuple(_message(turn, f"messages[{place}]") for place, turn in enumerate(given))
    return Conversation(messages, HERE, _tools(body))


def read_pictures(body: Mapping[str, Any]) -> tuple[bytes, ...]:
    """Return the pictures that the messages of a request show, in their order; nothing is fetched from anywhere.

    Raises:
        BadValue: one is named by an address, or is no base64.
        ContentTooLarge: one is too large.
    """
    found = []
    for place, turn in enumerate(body.get("messages") or ()):
        content = turn.get("content")
        for part in content if isinstance(content, list) else ():
            if part.get("type") == PICTURE:
                found.append(_picture(part.get(PICTURE), f"messages[{place}].content"))
    return tuple(found)


def _picture(given: Any, where: str) -> bytes:
    named = given.get("url") if isinstance(given, dict) else given
    address = named if isinstance(named, str) else ""
    begin = DATA.match(address)
    if begin is None:
        raise BadValue(where, str(named)[:60], "a picture as data:image/...;base64,... (no address is fetched)")
    coded = address[begin.end() :]
    if len(coded) > MOST_BYTES * 4 // 3 + 4:
        raise ContentTooLarge(MOST_BYTES, "picture")
    try:
        return base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        raise BadValue(where, coded[:20], "base64 after the comma") from None


def _message(turn: Any, where: str) -> Message:
    if not isinstance(turn, dict):
        raise BadValue(where, turn, "a message with role and content")
    for key, value in turn.items():
        # Clients send an answer back as it came, with the fields that were empty in it.
        if key not in READ and value:
            raise UnknownKey(key, where, READ)
    role = turn.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise BadValue(f"{where}.role", role, f"one of {', '.join(ROLES)}")
    calls = _calls(turn.get("tool_calls"), f"{where}.tool_calls")
    content = _content(turn.get("content"), f"{where}.content", empty=bool(calls))
    return Message(role=cast(Role, ROLES[role]), content=content, tool_calls=calls)


def _content(content: Any, where: str, *, empty: bool) -> str:
    """Read what a message says; only one that calls a tool may say nothing."""
    if content is None and empty:
        return ""
    if isinstance(content, list):
        return "".join(_part(part, where) for part in content)
    if not isinstance(content, str):
        raise BadValue(where, content, "text")
    return content


def _part(part: Any, where: str) -> str:
    if isinstance(part, dict) and part.get("type") == PICTURE:
        return PICTURE_MARK  # what it shows is read by itself
    if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
        raise BadValue(where, part, 'a part like {"type": "text", "text": "..."}')
    return str(part["text"])


def _calls(given: Any, where: str) -> str:
    """Read the calls of an assistant's message: a JSON list of name and arguments; empty where there are none."""
    if not given:
        return ""
    if not isinstance(given, list):
        raise BadValue(where, given, "a list of calls")
    return json.dumps([_call(call, f"{where}[{place}]") for place, call in enumerate(given)], ensure_ascii=False)


def _call(call: Any, where: str) -> dict[str, Any]:
    match call:
        case {"function": {"name": str(name), "arguments": str(arguments)}}:
            return {"name": name, "arguments": _arguments(arguments, f"{where}.function.arguments")}
    raise BadValue(where, call, 'a call like {"function": {"name": "...", "arguments": "{}"}}')


def _arguments(text: str, where: str) -> dict[str, Any]:
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise BadValue(where, text, "the JSON text of an object")
    return arguments


def _tools(body: Mapping[str, Any]) -> str:
    """Read the tools that may be called: a JSON list; empty where there are none, or where none may be called."""
    flag(body, "parallel_tool_calls")
    given = body.get("tools") or []
    if not isinstance(given, list):
        raise BadValue("tools", given, "a list of functions")
    for place, tool in enumerate(given):
        match tool:
            case {"type": "function", "function": {"name": str()}}:
                continue
        raise BadValue(f"tools[{place}]", tool, 'a tool like {"type": "function", "function": {"name": "..."}}')
    choice = body.get("tool_choice")
    if choice not in (None, "auto", "none"):
        raise BadValue("tool_choice", choice, "'auto' or 'none': nothing can force a model to call")
    return json.dumps(given, ensure_ascii=False) if given and choice != "none" else ""
