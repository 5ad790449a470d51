"""Columns divided by tabs, with a header line; fields may be quoted as in CSV."""

from __future__ import annotations

from collections.abc import Container, Iterator

from tunesmith.data import delimited
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, Reader
from tunesmith.spec.errors import RowFault


def read(file: SourceFile, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield a row for each record; a header without tabs that has commas or semicolons says what divides the fields."""
    yield from delimited.read(file, ("\t", ",", ";"))


READER = Reader(name="tsv", suffixes=(".tsv", ".tab"), read=read)
