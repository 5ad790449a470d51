"""The calls of tools that an answer makes, found in its text: what models write where OpenAI has ``tool_calls``.

Two ways of writing are read: ``<tool_call>{...}</tool_call>`` blocks (Qwen, Hermes, and what tools are offered with
where a template knows none), and an answer that is nothing but one JSON object or a list of them (Llama, Mistral).
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Collection, Iterator
from typing import Any, Final

from tunesmith.generation.asking import Token
from tunesmith.generation.text import possible_start
from tunesmith.worker.serving.answers import Answers
from tunesmith.worker.serving.shapes import Choice
from tunesmith.worker.serving.writing import Piece

OPEN: Final = "<tool_call>"
_BLOCK: Final = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)


def told(answers: Answers, tools: str) -> Iterator[tuple[Choice, Piece | None]]:
    """Give the pieces of answers, without those that are calls; what a complete choice calls is put into it."""
    if not tools:
        yield from answers
        return
    readers = [Calls(tools) for _ in answers.choices]
    for choice, piece in answers:
        reader = readers[choice.index]
        if piece is not None:
            yield from ((choice, said) for said in reader.add(piece))
            continue
        reason, choice.finish_reason = choice.finish_reason, None
        left, choice.tool_calls = reader.end()
        yield from ((choice, said) for said in left)
        choice.finish_reason = "tool_calls" if choice.tool_calls and reason == "stop" else reason
        yield choice, None


class Calls:
    """Separates what an answer says from what it calls, while it comes."""

    def __init__(self, tools: str) -> None:
        """``tools`` is the JSON list of what was offered; what it does not name is not called."""
        self._names = {str(tool["function"]["name"]) for tool in json.loads(tools)}
        self._text = ""
        """What is not given yet: it calls, or could begin to."""
        self._tokens: list[Token] = []
        self._said = False
        """Whether something was given: then only a block can call."""
        self._calling = False

    def add(self, piece: Piece) -> Iterator[Piece]:
        """Take the next piece, and give what is certain to be said."""
        self._text += piece.text
        self._tokens += piece.tokens
        if not self._calling:
            yield from self._give(self._certain())

    def end(self) -> tuple[list[Piece], list[dict[str, Any]]]:
        """Return what is left to say, and the calls as OpenAI's objects."""
        calls = list(_calls_in(self._text, self._names))
        if not calls:
            return list(self._give(len(self._text))), []
        self._text = self._text.partition(OPEN)[0].strip() if OPEN in self._text else ""
        return list(self._give(len(self._text))), calls

    def _certain(self) -> int:
        """Return how many characters cannot belong to a call."""
        if not self._said and self._text.lstrip()[:1] in ("", "{", "["):
            return 0
        begin = self._text.find(OPEN)
        if begin >= 0:
            self._calling = True
            return begin
        return len(self._text) - possible_start((OPEN,), self._text)

    def _give(self, count: int) -> Iterator[Piece]:
        if count:
            taken, self._text, tokens, self._tokens = self._text[:count], self._text[count:], self._tokens, []
            self._said = True
            yield Piece(taken, tuple(tokens))


def _calls_in(text: str, names: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield the calls that a text makes of what was offered."""
    for written in _BLOCK.findall(text) or [text.strip()]:
        try:
            content = json.loads(written)
        except (ValueError, RecursionError):
            continue
        for call in content if isinstance(content, list) else [content]:
            match call:
                case {"name": str(name), "arguments": dict(arguments)} if name in names:
                    yield _call(name, arguments)
                case {"name": str(name), "parameters": dict(arguments)} if name in names:
                    yield _call(name, arguments)


def _call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": function}
