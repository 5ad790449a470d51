"""Text files: every line that is not blank is a row."""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path

from tunesmith.data.lines import Line, lines
from tunesmith.data.sources import RawRow, Reader
from tunesmith.spec.errors import RowFault, Where


def read(path: Path, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield a row with a text for each line that is not blank."""
    for line in lines(path, wanted):
        if not isinstance(line, Line):
            yield line
        elif not line.text.isspace():
            yield RawRow(Where(str(path), line.number), {"text": line.text.strip()}, line.position)


READER = Reader(name="txt", suffixes=(".txt",), lines=True, read=read)
