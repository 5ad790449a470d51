"""CSV with a header line (RFC 4180); quoted fields may hold commas, quotes and line ends."""

from __future__ import annotations

from collections.abc import Container, Iterator

from tunesmith.data import delimited
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, Reader
from tunesmith.spec.errors import RowFault


def read(file: SourceFile, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield a row for each record; a header without commas that has semicolons or tabs says what divides the fields."""
    yield from delimited.read(file, (",", ";", "\t"))


READER = Reader(name="csv", suffixes=(".csv",), read=read)
