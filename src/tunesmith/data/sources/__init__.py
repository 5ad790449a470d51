"""The file types, one file each; a file with a ``READER`` in this folder is a file type.

May import ``data.lines``, ``data.wrapped``, ``data.json_text``, ``data.elements``, ``data.source_file`` and spec. To
add one, copy a sibling: ``read`` yields rows as they come, a ``RowFault`` for each one that cannot be read, and never
ends a file for the sake of one row.

What a reader promises, and whoever counts or samples rows relies on:

- A file is a ``SourceFile``. It may be compressed or lie in an archive, so its bytes come from ``file.open()`` alone,
  its name from ``file.name``, its size from ``file.size``; ``file.path`` is only where the archive or file lies.
- ``position`` of a row never falls and never exceeds ``file.size``; of a compressed file both count packed bytes.
- A reader with ``skips`` yields only the rows whose numbers are wanted, and much faster than it would yield all of
  them; rows are numbered from 1. The others yield every row, whatever is wanted.
- ``count`` says how many rows there are in some part of the file, without making rows of them: ``(rows, size)``, where
  ``size`` is the part that was looked at. A blank line counts. Readers without it have to be read to be counted.
- Only ``read_file`` is called from outside: there an ``OSError`` is a fault, and so is a file without any row.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from typing import Final

from tunesmith.data.compression import Damaged
from tunesmith.data.source_file import BROKEN, SourceFile
from tunesmith.spec.errors import EmptyFile, RowFault, UnreadableRow, Where

Counter = Callable[[SourceFile, int], tuple[int, int]]
"""From a file and how much of its size to look at to the rows there and the size that was looked at."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as its file holds it."""

    where: Where
    values: object
    """A mapping of columns for a good row; anything else is for ``data.detect`` to judge."""
    position: int
    """How much of ``SourceFile.size`` was read to get here, for progress."""


@dataclass(frozen=True)
class Reader:
    """A type of file."""

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[SourceFile, Container[int] | None], Iterator[RawRow | RowFault]]
    """Yields the file's rows; of a reader that skips, only those whose number is wanted (None: all)."""
    skips: bool = False
    """Whether rows that nobody wants cost next to nothing."""
    count: Counter | None = None
    """Counts rows without making them; every reader that skips has it."""


def _found() -> dict[str, Reader]:
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    readers: list[Reader] = [module.READER for module in modules]
    return {suffix: reader for reader in readers for suffix in reader.suffixes}


READERS: Final = _found()
"""Every reader by the suffix of its files."""


def reader_of(file: SourceFile) -> Reader:
    """Return the reader of a file that ``data.files`` has found."""
    if file.broken:
        return _CLOSED
    return _LAID if file.laid is not None else READERS[file.suffixes[0]]


def read_file(file: SourceFile, wanted: Container[int] | None = None) -> Iterator[RawRow | RowFault]:
    """Yield a file's rows; a file that the system will not hand over is one fault, and so is one without rows."""
    row = 0
    try:
        for each in reader_of(file).read(file, wanted):
            row = each.where.row
            yield each
    except Damaged as error:
        yield UnreadableRow(Where(file.name, row + 1), str(error))
    except OSError as error:
        yield UnreadableRow(Where(file.name, row + 1), f"the system says '{error.strerror or error}'")
    else:
        if not row and wanted is None:
            yield EmptyFile(Where(file.name, 1))


def _refuse(file: SourceFile, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    yield UnreadableRow(Where(file.name, 1), file.broken)


_CLOSED: Final = Reader(name="archive that cannot be read", suffixes=(), read=_refuse)


def _laid(file: SourceFile, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    for number, values in enumerate(file.laid or (), 1):
        if wanted is None or number in wanted:
            where = Where(file.name, number)
            yield UnreadableRow(where, values[BROKEN]) if BROKEN in values else RawRow(where, values, number)


def _count_laid(file: SourceFile, most: int) -> tuple[int, int]:
    return (len(file.laid or ()),) * 2


_LAID: Final = Reader(name="layout of a folder", suffixes=(), read=_laid, skips=True, count=_count_laid)
