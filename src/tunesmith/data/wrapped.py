"""Documents that hold all rows at once: a list, an object around a list, or a single row."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Final

from tunesmith.data.sources import RawRow
from tunesmith.spec.errors import UnreadableRow, Where

WRAPPERS: Final = ("data", "examples", "items", "samples")
"""Keys of an object that may hold the list of rows."""


def unwrap(document: object, wrappers: Container[str] = WRAPPERS) -> list[object]:
    """Return the rows of a document."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            if key in wrappers and isinstance(value, list):
                return value
    return document if isinstance(document, list) else [document]


def rows(values: list[object], path: Path) -> Iterator[RawRow]:
    """Number the rows from 1; the whole file is read by then."""
    file, size = str(path), path.stat().st_size
    for number, value in enumerate(values, 1):
        yield RawRow(Where(file, number), value, size * number // len(values))


def not_text(error: UnicodeDecodeError, path: Path) -> UnreadableRow:
    """Say in which line of a document the bytes stop being text."""
    row = error.object[: error.start].count(b"\n") + 1
    return UnreadableRow(
        Where(str(path), row), f"byte {error.object[error.start]:#04x} is not UTF-8 text (save the file as UTF-8)"
    )
