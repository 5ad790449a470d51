"""Hands tools and their calls to a chat template in the shape that it reads, or as text where it reads none.

What a template can do is found by rendering a small conversation, once. One that ignores tools is told of them in the
system turn; one that ignores calls is given them as ``<tool_call>`` blocks of the answer; one that knows no answers of
tools gets them as user turns. So nothing of a row is lost without a word.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Final

from tunesmith.modalities.chat_template import Template, TemplateRefusal
from tunesmith.spec.examples import Message

_TOOL: Final = {
    "type": "function",
    "function": {
        "name": "probe_function",
        "description": "Answers.",
        "parameters": {"type": "object", "properties": {"probe_argument": {"type": "string", "description": "Any."}}},
    },
}
_ASKED: Final = {"role": "user", "content": "Hello"}
_RESULT: Final = "probe_result"
_OFFER: Final = "You may call these functions:\n<tools>\n{tools}\n</tools>"
_HOW: Final = (
    "\nTo call one, answer with its name and arguments as JSON:\n"
    '<tool_call>\n{"name": "...", "arguments": {...}}\n</tool_call>'
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A conversation as a template takes it."""

    messages: list[dict[str, Any]]
    trained: list[int]
    """Places of the assistant turns that are trained."""
    tools: list[Any] | None
    """For the template's own ``tools``; None where there are none, or the messages tell of them."""


@dataclass(frozen=True, slots=True)
class _Calls:
    """How a template wants a turn that only calls."""

    empty: str | None
    """Content of a turn that says nothing else."""
    as_text: bool
    """Whether arguments are JSON text instead of an object."""


class ToolTurns:
    """Prepares conversations for one template."""

    def __init__(self, template: Template) -> None:
        """Look at nothing yet: most data have no tools."""
        self._template = template

    def prepared(self, messages: Sequence[Message], tools: str = "") -> Prepared:
        """Return the messages as the template takes them, in their order."""
        if not tools and not any(message.tool_calls or message.role == "tool" for message in messages):
            return Prepared(
                [{"role": message.role, "content": message.content} for message in messages],
                [place for place, message in enumerate(messages) if _is_trained(message)],
                None,
            )
        rendered = _joined(list(self._rendered(messages)))
        offered = json.loads(tools) if tools else None
        if offered and not self._reads_tools:
            rendered, offered = self._told(rendered, offered), None
        trained = [place for place, (_, is_trained) in enumerate(rendered) if is_trained]
        return Prepared([message for message, _ in rendered], trained, offered)

    def _rendered(self, messages: Sequence[Message]) -> Iterator[tuple[dict[str, Any], bool]]:
        """Yield each message for the template and whether it is trained; answers of tools get their calls' names."""
        count, open_calls = 0, list[tuple[str, str]]()
        for message in messages:
            if message.tool_calls:
                calls = json.loads(message.tool_calls)
                open_calls = [(f"call{count + place:05d}", call["name"]) for place, call in enumerate(calls)]
                count += len(calls)
                yield self._calling(message, calls, open_calls), _is_trained(message)
            elif message.role == "tool":
                name = open_calls.pop(0) if open_calls else None
                yield self._answering(message, name), False
            else:
                yield {"role": message.role, "content": message.content}, _is_trained(message)

    def _calling(self, message: Message, calls: list[Any], names: list[tuple[str, str]]) -> dict[str, Any]:
        shape = self._calls
        if shape is None:
            blocks = [f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>" for call in calls]
            return {
                "role": "assistant",
                "content": "\n".join([*([message.content] if message.content else []), *blocks]),
            }
        made = [_call(number, call, as_text=shape.as_text) for (number, _), call in zip(names, calls, strict=True)]
        return {"role": "assistant", "content": message.content or shape.empty, "tool_calls": made}

    def _answering(self, message: Message, call: tuple[str, str] | None) -> dict[str, Any]:
        if not self._hears_tools:
            return {"role": "user", "content": f"<tool_response>\n{message.content}\n</tool_response>"}
        named = {"tool_call_id": call[0], "name": call[1]} if call else {}
        return {"role": "tool", "content": message.content, **named}

    def _told(self, rendered: list[tuple[dict[str, Any], bool]], tools: list[Any]) -> list[tuple[dict[str, Any], bool]]:
        """Put the tools into the system turn; where the template has none, before what the user says first."""
        listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
        offer = _OFFER.replace("{tools}", listed) + (_HOW if self._calls is None else "")
        first, rest = rendered[0][0], rendered[1:]
        if first["role"] == "system":
            return [({"role": "system", "content": f"{first['content']}\n\n{offer}"}, False), *rest]
        if self._takes_system or first["role"] != "user":
            return [({"role": "system", "content": offer}, False), *rendered]
        return [({"role": "user", "content": f"{offer}\n\n{first['content']}"}, False), *rest]

    @cached_property
    def _reads_tools(self) -> bool:
        return "probe_function" in self._try([_ASKED], tools=[_TOOL])

    @cached_property
    def _takes_system(self) -> bool:
        return _RESULT in self._try([{"role": "system", "content": _RESULT}, _ASKED])

    @cached_property
    def _calls(self) -> _Calls | None:
        """Return the first shape in which the template writes a call as JSON; None if it writes none."""
        for empty, as_text in product(("", None), (False, True)):
            said = self._try([_ASKED, _probe_call(empty, as_text=as_text)])
            if "probe_function" in said and '"probe_argument"' in said:
                return _Calls(empty, as_text)
        return None

    @cached_property
    def _hears_tools(self) -> bool:
        shape = self._calls
        call = _probe_call(shape.empty, as_text=shape.as_text) if shape else {"role": "assistant", "content": "Well"}
        answer = {"role": "tool", "content": _RESULT, "tool_call_id": "call00000", "name": "probe_function"}
        return _RESULT in self._try([_ASKED, call, answer]) and self._names_speakers(call, answer)

    def _names_speakers(self, call: dict[str, Any], answer: dict[str, Any]) -> bool:
        """Say whether an answer of a tool looks different from the same answer of the assistant."""
        other = {"role": "assistant", "content": _RESULT}
        return self._try([_ASKED, call, answer]) != self._try([_ASKED, call, other])

    def _try(self, messages: Sequence[Mapping[str, Any]], tools: list[Any] | None = None) -> str:
        try:
            return self._template.render(messages, tools=tools)
        except TemplateRefusal:
            return ""


def _is_trained(message: Message) -> bool:
    return message.role == "assistant" and message.train


def _probe_call(empty: str | None, *, as_text: bool) -> dict[str, Any]:
    call = {"name": "probe_function", "arguments": {"probe_argument": "probe"}}
    return {"role": "assistant", "content": empty, "tool_calls": [_call("call00000", call, as_text=as_text)]}


def _call(number: str, call: Mapping[str, Any], *, as_text: bool) -> dict[str, Any]:
    arguments = json.dumps(call["arguments"], ensure_ascii=False) if as_text else call["arguments"]
    return {"id": number, "type": "function", "function": {"name": call["name"], "arguments": arguments}}


def _joined(rendered: list[tuple[dict[str, Any], bool]]) -> list[tuple[dict[str, Any], bool]]:
    """Make one user turn of several answers of tools, for templates in which speakers alternate."""
    joined: list[tuple[dict[str, Any], bool]] = []
    for message, trained in rendered:
        last = joined[-1][0] if joined else {}
        is_response = message["role"] == "user" and message["content"].startswith("<tool_response>")
        if is_response and last.get("role") == "user" and str(last["content"]).startswith("<tool_response>"):
            joined[-1] = ({"role": "user", "content": f"{last['content']}\n{message['content']}"}, False)
        else:
            joined.append((message, trained))
    return joined
