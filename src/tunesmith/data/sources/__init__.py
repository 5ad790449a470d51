"""The file types, one file each; a file with a ``READER`` in this folder is a file type.

May import ``data.lines``, ``data.wrapped`` and spec. To add one, copy a sibling: ``read`` yields rows as they come, a
``RowFault`` for each one that cannot be read, and never ends a file for the sake of one row.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tunesmith.spec.errors import RowFault, UnreadableRow, Where


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as its file holds it."""

    where: Where
    values: object
    """A mapping of columns for a good row; anything else is for ``data.detect`` to judge."""
    position: int
    """Bytes of the file that were read to get here, for progress."""


@dataclass(frozen=True)
class Reader:
    """A type of file."""

    name: str
    suffixes: tuple[str, ...]
    lines: bool
    """Whether a row is a line, so that rows can be counted and skipped without being parsed."""
    read: Callable[[Path, Container[int] | None], Iterator[RawRow | RowFault]]
    """Yields the file's rows; of a file of lines, only those whose number is wanted (None: all)."""


def _found() -> dict[str, Reader]:
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    readers: list[Reader] = [module.READER for module in modules]
    return {suffix: reader for reader in readers for suffix in reader.suffixes}


READERS: Final = _found()
"""Every reader by the suffix of its files."""


def reader_of(path: Path) -> Reader:
    """Return the reader of a file that ``data.files`` has found."""
    return READERS[path.suffix.lower()]


def read_file(path: Path, wanted: Container[int] | None = None) -> Iterator[RawRow | RowFault]:
    """Yield a file's rows; a file that the system will not hand over is one fault."""
    try:
        yield from reader_of(path).read(path, wanted)
    except OSError as error:
        yield UnreadableRow(Where(str(path), 1), f"the system says '{error.strerror or error}'")
