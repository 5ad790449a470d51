"""Finds out which format a row is in: every format is asked about the names of the columns, never about values."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from tunesmith.data.columns import Row
from tunesmith.data.formats import FORMATS, Format
from tunesmith.spec.errors import UnknownFormat, UnknownName, Where, WrongType


def format_of(row: Row, where: Where) -> Format:
    """Return the most special format that recognises the row.

    Raises:
        UnknownFormat: none does.
    """
    names = tuple(str(name) for name in row)
    found = _by_columns(names)
    if found is None:
        raise UnknownFormat(where, names, *_nearest(names))
    return found


def named(name: str) -> Format:
    """Return a format by its name.

    Raises:
        UnknownName: there is none.
    """
    if name not in FORMATS:
        raise UnknownName("data set format", name, FORMATS)
    return FORMATS[name]


def as_row(value: object, where: Where) -> Row:
    """Return a raw row as named columns.

    A bare string is a text, a bare list the turns of a conversation.

    Raises:
        WrongType: it is neither of these nor an object.
    """
    if isinstance(value, str):
        value = {"text": value}
    elif isinstance(value, list):
        value = {"conversations": value}
    if not isinstance(value, Mapping):
        raise WrongType(None, where, value, "an object with columns")
    return value


def renamed(row: Row, columns: Mapping[str, str]) -> Row:
    """Return a row with its columns renamed as the data set asks (wanted name -> name in the data)."""
    if not columns:
        return row
    found = {wanted: row[have] for wanted, have in columns.items() if have in row}
    return {name: entry for name, entry in row.items() if name not in columns.values()} | found


def _nearest(names: tuple[str, ...]) -> tuple[str, str | None]:
    """Return the format that the row would be in but for one column, and that column."""
    lacking = ((found, [column for column in found.columns if column not in names]) for found in FORMATS.values())
    near = [(found, missing[0]) for found, missing in lacking if len(found.columns) > 1 and len(missing) == 1]
    if not near:
        return "", None
    found, column = max(near, key=lambda each: each[0].sniff(dict.fromkeys((*names, each[1]))))
    return found.name, column


@functools.lru_cache(maxsize=4096)
def _by_columns(names: tuple[str, ...]) -> Format | None:
    row = dict.fromkeys(names)
    best = max(FORMATS.values(), key=lambda known: known.sniff(row))
    return best if best.sniff(row) > 0 else None
