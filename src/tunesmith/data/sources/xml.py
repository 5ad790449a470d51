"""XML: every child of the root is a row, its attributes and children are columns. Entities are never expanded."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final

from tunesmith.data.elements import Elements
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, Reader
from tunesmith.spec.errors import RowFault, UnreadableRow, Where

_BLOCK: Final = 2**16


def read(file: SourceFile, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield a row for each child of the root; where the file stops being XML, it ends with a fault."""
    name, rows = file.name, Elements(1)
    number = 0
    with file.open(text=False) as opened:
        block = b"more"
        while block and rows.broken is None:
            block = opened.stream.read(_BLOCK)
            rows.feed(block)
            for values in rows.taken():
                number += 1
                yield RawRow(Where(name, number), values, opened.position())
    if rows.broken is not None:
        yield UnreadableRow(Where(name, number + 1), rows.broken)


READER = Reader(name="xml", suffixes=(".xml",), read=read)
