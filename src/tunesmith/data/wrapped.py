"""Documents that hold all rows at once: a list, an object around a list, or a single row."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Final

from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow
from tunesmith.spec.errors import UnreadableRow, Where

WRAPPERS: Final = ("data", "examples", "items", "samples")
"""Keys of an object that may hold the list of rows."""
MAX_DOCUMENT: Final = 64 * 2**20
"""Bytes of a document that must be read whole; it takes some 30 times as much memory."""


def unwrap(document: object, wrappers: Container[str] = WRAPPERS) -> list[object]:
    """Return the rows of a document."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            if key in wrappers and isinstance(value, list):
                return value
    return document if isinstance(document, list) else [document]


def content_of(file: SourceFile) -> str | UnreadableRow:
    """Return the text of a document that is read whole, or what is wrong with it.

    Raises:
        OSError: the file cannot be read.
    """
    with file.open() as opened:
        content = opened.stream.read(MAX_DOCUMENT + 1)
    if len(content) > MAX_DOCUMENT:
        why = f"the file is larger than {MAX_DOCUMENT // 2**20} MiB, which only JSON lines, CSV and the like may be"
        return UnreadableRow(Where(file.name, 1), why)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        why = f"byte {content[error.start]:#04x} is not UTF-8 text (save the file as UTF-8)"
        return UnreadableRow(Where(file.name, row), why)


def rows(values: list[object], file: SourceFile) -> Iterator[RawRow]:
    """Number the rows from 1; the whole file is read by then."""
    name, size = file.name, file.size
    for number, value in enumerate(values, 1):
        yield RawRow(Where(name, number), value, size * number // len(values))
