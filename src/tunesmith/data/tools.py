"""Tools that an assistant may call, and its calls, from the shapes in which data sets write them down.

Both leave here as JSON text of one shape: tools as ``[{"type": "function", "function": {"name", ...}}]``, calls as
``[{"name", "arguments": {...}}]``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from tunesmith.data.columns import encodable
from tunesmith.spec.errors import Where, WrongType

_QUOTED_ARGUMENTS = re.compile(r"""\s*\{\s*"name"\s*:\s*("[^"]*")\s*,\s*"arguments"\s*:\s*'(.*)'\s*\}\s*""", re.S)
"""A call whose arguments are JSON within single quotes, as Glaive's data write it."""


def tools(value: object, column: str, where: Where) -> str:
    """Return tool definitions as JSON text; an empty string for none.

    Taken are a list, one definition, or JSON text of either; bare functions and those below ``function``.

    Raises:
        WrongType: a definition has no name, or the text is not JSON.
    """
    found = _parsed(value, column, where)
    if found in (None, "", [], {}):
        return ""
    listed = found if isinstance(found, list) else [found]
    definitions = [_tool(tool, f"{column}[{place}]", where) for place, tool in enumerate(listed)]
    return _text(definitions, column, where)


def calls(value: object, column: str, where: Where) -> str:
    """Return an assistant's calls as JSON text; an empty string for none.

    Taken are a list, one call, or JSON text of either; ``arguments`` may be an object or JSON text of one.

    Raises:
        WrongType: a call has no name, or arguments that are no object.
    """
    found = _parsed(value, column, where)
    if found in (None, "", [], {}):
        return ""
    listed = found if isinstance(found, list) else [found]
    return _text([_call(call, f"{column}[{place}]", where) for place, call in enumerate(listed)], column, where)


def written_call(text: str, column: str, where: Where) -> str:
    """Return a call that stands in running text, its arguments perhaps within single quotes, as ``calls`` does."""
    quoted = _QUOTED_ARGUMENTS.fullmatch(text)
    if quoted:
        return calls({"name": json.loads(quoted[1], strict=False), "arguments": quoted[2]}, column, where)
    return calls(text, column, where)


def definitions_within(text: str, column: str, where: Where) -> tuple[str, str]:
    """Split a text into what stands before its first JSON object, and the objects as tools.

    Raises:
        WrongType: an object is not finished, or is no tool.
    """
    begins = text.find("{")
    if begins < 0:
        return text.strip(), ""
    return text[:begins].strip(), tools(list(_objects(text, begins, column, where)), column, where)


def _objects(text: str, begins: int, column: str, where: Where) -> Iterator[object]:
    decoder = json.JSONDecoder(strict=False)
    while begins >= 0:
        try:
            found, ends = decoder.raw_decode(text, begins)
        except (ValueError, RecursionError):
            raise WrongType(column, where, text[begins:], "a list of functions as JSON objects") from None
        yield found
        begins = text.find("{", ends)


def _parsed(value: object, column: str, where: Where) -> object:
    if not isinstance(value, str) or not value.strip():
        return None if isinstance(value, str) else value
    try:
        return json.loads(value, strict=False)
    except (ValueError, RecursionError):
        raise WrongType(column, where, value, "JSON") from None


def _tool(value: object, column: str, where: Where) -> dict[str, object]:
    bare = value.get("function") if isinstance(value, Mapping) and "function" in value else value
    if not isinstance(bare, Mapping) or not isinstance(bare.get("name"), str):
        raise WrongType(column, where, value, "a function with its name, as in {'name': 'f', 'parameters': {...}}")
    return {"type": "function", "function": dict(bare)}


def _call(value: object, column: str, where: Where) -> dict[str, object]:
    bare = value.get("function") if isinstance(value, Mapping) and "function" in value else value
    if not isinstance(bare, Mapping) or not isinstance(bare.get("name"), str):
        raise WrongType(
            column, where, value, "a call with the name of a function, as in {'name': 'f', 'arguments': {}}"
        )
    given = _parsed(bare.get("arguments"), f"{column}.arguments", where)
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise WrongType(f"{column}.arguments", where, given, "an object of arguments")
    return {"name": bare["name"], "arguments": dict(given)}


def _text(found: object, column: str, where: Where) -> str:
    try:
        text = json.dumps(found, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        raise WrongType(column, where, found, "plain JSON values") from None
    return encodable(text, column, where)
