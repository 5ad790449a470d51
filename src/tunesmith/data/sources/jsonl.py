"""JSON lines: one JSON value a line (https://jsonlines.org)."""

from __future__ import annotations

from collections.abc import Container, Iterator

from tunesmith.data.json_text import DECODER, explain
from tunesmith.data.lines import Line, count_lines, lines
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow, Reader
from tunesmith.spec.errors import RowFault, UnreadableRow, Where


def read(file: SourceFile, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield a row for each line that is not blank."""
    name = file.name
    for line in lines(file, wanted):
        if not isinstance(line, Line):
            yield line
        elif not line.text.isspace():
            yield parse(line, name)


def parse(line: Line, file: str) -> RawRow | UnreadableRow:
    """Parse one line."""
    where = Where(file, line.number)
    try:
        return RawRow(where, DECODER.decode(line.text), line.position)
    except (ValueError, RecursionError) as error:
        return UnreadableRow(where, explain(error))


READER = Reader(name="jsonl", suffixes=(".jsonl", ".ndjson"), read=read, skips=True, count=count_lines)
