"""Text files: every line that is not blank is a row."""

from __future__ import annotations

from collections.abc import Container, Iterator

from tunesmith.data.lines import Line, count_lines, lines
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, Reader
from tunesmith.spec.errors import RowFault, Where


def read(file: SourceFile, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield a row with a text for each line that is not blank."""
    name = file.name
    for line in lines(file, wanted):
        if not isinstance(line, Line):
            yield line
        elif not line.text.isspace():
            yield RawRow(Where(name, line.number), {"text": line.text.strip()}, line.position)


READER = Reader(name="txt", suffixes=(".txt",), read=read, skips=True, count=count_lines)
