"""JSON as rows are read from it: what the standard library takes, but no column may stand twice in an object."""

from __future__ import annotations

import json
from typing import Final

_Pairs = list[tuple[str, object]]


def _object(pairs: _Pairs) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"'{twice[:60]}' stands twice in one object")
    return found


DECODER: Final = json.JSONDecoder(object_pairs_hook=_object)
"""Raises ``json.JSONDecodeError``, ``ValueError`` (a name that stands twice, an endless number), ``RecursionError``."""


def explain(error: ValueError | RecursionError) -> str:
    """Say why the decoder refused a text."""
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at character {min(error.pos, len(error.doc.rstrip())) + 1}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"not JSON that can be held: {error}"
