"""The part of Go's text/template that our Modelfiles use, rendered as Ollama renders it.

Text, ``{{ .Content }}`` and other fields, ``range $i, $_ := .Messages``, ``if``, ``else if``, ``else``, ``end``, and
the functions ``eq``, ``and``, ``not`` (https://pkg.go.dev/text/template; what Ollama hands over is in docs/template.md
of https://github.com/ollama/ollama).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_ACTION: Final = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_RANGE: Final = re.compile(r"range (\$\w+), \$\w+ := (.+)")
_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[()]|[^\s()]+')


@dataclass
class _Branch:
    """What is rendered if something is true; text where nothing is asked."""

    test: str
    parts: list[Any] = field(default_factory=list)


@dataclass
class _Block:
    """A choice among branches, or a loop, which has one."""

    loop: str | None
    branches: list[_Branch]


def render(template: str, messages: Sequence[Mapping[str, Any]]) -> str:
    """Render messages as Ollama does: what the system turns say is also there as ``.System``."""
    system = "\n\n".join(str(message["content"]) for message in messages if message["role"] == "system")
    turns = [{"Role": message["role"], "Content": message["content"]} for message in messages]
    root = {"System": system, "Messages": turns}
    return "".join(_rendered(_parse(template), root, {"$": root}))


def _parse(template: str) -> list[Any]:
    """Return the parts of a template: texts, expressions (as _Branch without parts) and blocks."""
    top = _Branch("")
    stack: list[_Block] = [_Block(None, [top])]
    for place, piece in enumerate(_ACTION.split(template)):
        parts = stack[-1].branches[-1].parts
        if place % 2 == 0:
            parts.append(piece)
        elif loop := _RANGE.fullmatch(piece):
            stack.append(_Block(loop[1], [_Branch(loop[2])]))
            parts.append(stack[-1])
        elif piece.startswith("if "):
            stack.append(_Block(None, [_Branch(piece.removeprefix("if "))]))
            parts.append(stack[-1])
        elif piece.startswith("else"):
            stack[-1].branches.append(_Branch(piece.removeprefix("else").strip().removeprefix("if ").strip() or "true"))
        elif piece == "end":
            stack.pop()
        else:
            parts.append(_Branch(piece))
    return top.parts


def _rendered(parts: Sequence[Any], dot: Any, names: Mapping[str, Any]) -> Iterator[str]:
    for part in parts:
        match part:
            case str():
                yield part
            case _Branch(test=expression):
                yield str(_value(expression, dot, names))
            case _Block(loop=str(name), branches=[inner]):
                for number, each in enumerate(_value(inner.test, dot, names)):
                    yield from _rendered(inner.parts, each, {**names, name: number})
            case _Block(branches=branches):
                chosen = next((branch for branch in branches if _value(branch.test, dot, names)), None)
                if chosen is not None:
                    yield from _rendered(chosen.parts, dot, names)


def _value(expression: str, dot: Any, names: Mapping[str, Any]) -> Any:
    """Return what an expression is: a field, a variable, a constant, or a function of such."""
    words = _WORD.findall(expression)
    function, *given = _arguments(words, dot, names)
    if not words or words[0] not in ("eq", "and", "not"):
        return function
    match words[0], given:
        case "eq", [one, other]:
            return one == other
        case "and", _:
            return next((each for each in given if not each), given[-1])
        case "not", [one]:
            return not one
    raise ValueError(f"unknown to this renderer: {expression}")


def _arguments(words: list[str], dot: Any, names: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = []
    place = 0
    while place < len(words):
        if words[place] == "(":
            depth, end = 1, place + 1
            while depth:
                depth += {"(": 1, ")": -1}.get(words[end], 0)
                end += 1
            found.append(_value(" ".join(words[place + 1 : end - 1]), dot, names))
            place = end
        else:
            found.append(_atom(words[place], dot, names))
            place += 1
    return found


def _atom(word: str, dot: Any, names: Mapping[str, Any]) -> Any:
    if word.startswith('"') or word.isdigit():
        return json.loads(word)
    if word.startswith("$."):
        return names["$"][word.removeprefix("$.")]
    if word.startswith("$"):
        return names[word]
    if word.startswith("."):
        return dot[word.removeprefix(".")]
    return word == "true" or word
