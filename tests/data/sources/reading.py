"""What a reader makes of a file, as short lists."""

from __future__ import annotations

from pathlib import Path

from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, read_file
from tunesmith.spec.errors import RowFault


def values(path: Path) -> list[tuple[int, object]]:
    """Row numbers and values of the rows that can be read."""
    return [(row.where.row, row.values) for row in read_file(SourceFile(path)) if isinstance(row, RawRow)]


def faults(path: Path) -> list[RowFault]:
    """Faults of the others."""
    return [row for row in read_file(SourceFile(path)) if isinstance(row, RowFault)]
