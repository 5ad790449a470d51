"""Conversations with tools: ``{"messages" or "conversations", "tools"}``, calls as ``tool_calls`` of an assistant turn.

The shapes of OpenAI (``tools``, or ``functions`` with ``function_call``;
https://platform.openai.com/docs/guides/function-calling), of Glaive (``{"system", "chat"}``,
the data set glaiveai/glaive-function-calling-v2) and of xLAM (``{"query", "answers", "tools"}``,
the data set Salesforce/xlam-function-calling-60k).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tunesmith.data.columns import Row, chosen, has, has_any, optional_text, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.tools import calls, definitions_within, tools, written_call
from tunesmith.data.turns import conversation, said, turns
from tunesmith.spec.errors import Where, WrongType
from tunesmith.spec.examples import Conversation, Example, Message, Role

_TALKS: Final = ("messages", "conversations")
_PICTURES: Final = ("image", "images")
_GLAIVE: Final = re.compile(r"(?:\A|\n)\s*(USER|ASSISTANT|FUNCTION RESPONSE):")
_SPEAKERS: Final[dict[str, Role]] = {"USER": "user", "ASSISTANT": "assistant", "FUNCTION RESPONSE": "tool"}
_CALL: Final = "<functioncall>"


def sniff(row: Row) -> int:
    """Recognise tools beside a conversation or a question, or Glaive's system and chat."""
    beside = has_any(row, "tools", "functions") and (has_any(row, *_TALKS) or has(row, "query", "answers"))
    return 88 if beside or has(row, "system", "chat") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation with its tools and calls; pictures cannot stand beside them."""
    shown = next((name for name in _PICTURES if row.get(name)), None)
    if shown is not None:
        raise WrongType(shown, where, row[shown], "empty: rows with tools are read without pictures")
    if "chat" in row and not has_any(row, *_TALKS):
        yield _glaive(row, where)
        return
    column = chosen(row, "tools", "functions")
    offered = tools(row.get(column), column, where)
    system = Message("system", optional_text(row, "system", where))
    if "query" in row and not has_any(row, *_TALKS):
        answer = Message("assistant", "", tool_calls=_answers(row, where))
        yield conversation(
            [system, Message("user", text(row, "query", where)), answer], "answers", where, tools=offered
        )
        return
    talk = chosen(row, *_TALKS)
    spoken = [system, *turns(row, talk, where)]
    told = any(turn.role == "system" and "<tools>" in turn.content for turn in spoken)
    yield conversation(spoken, talk, where, tools="" if told else offered)


def _answers(row: Row, where: Where) -> str:
    found = calls(row.get("answers"), "answers", where)
    if not found:
        raise WrongType("answers", where, row.get("answers"), "a list of calls")
    return found


def _glaive(row: Row, where: Where) -> Conversation:
    """Read a chat in which speakers stand in capitals, and a system text that lists functions as JSON."""
    given = optional_text(row, "system", where).strip().removeprefix("SYSTEM:")
    system, offered = definitions_within(given, "system", where)
    before, *parts = _GLAIVE.split(text(row, "chat", where))
    if not parts or before.strip():
        raise WrongType("chat", where, row["chat"], "text whose turns begin with 'USER:' and 'ASSISTANT:'")
    spoken = [
        _glaive_turn(who, what, place, where) for place, (who, what) in enumerate(zip(*[iter(parts)] * 2, strict=True))
    ]
    system = system if not offered else _without_offer(system)
    return conversation([Message("system", system), *spoken], "chat", where, tools=offered)


def _glaive_turn(speaker: str, content: str, place: int, where: Where) -> Message:
    column, content = f"chat[{place}]", content.replace("<|endoftext|>", "").strip()
    if speaker != "ASSISTANT" or _CALL not in content:
        return said(_SPEAKERS[speaker], content, column, where)
    words, _, call = content.partition(_CALL)
    return Message("assistant", words.strip(), tool_calls=written_call(call.strip(), column, where))


def _without_offer(system: str) -> str:
    """Leave out the sentence that announces the functions: whoever renders the tools announces them."""
    kept = system.partition(" with access to the following functions")
    return f"{kept[0]}." if kept[1] else system


FORMAT = RowFormat(
    name="function_calling",
    summary="a conversation in which the assistant may call tools",
    columns=("messages", "tools"),
    optional=("conversations", "functions", "system", "chat", "query", "answers"),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
