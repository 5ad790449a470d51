"""JSON lines: one JSON value a line (https://jsonlines.org)."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from pathlib import Path

from tunesmith.data.lines import Line, lines
from tunesmith.data.sources import RawRow, Reader
from tunesmith.spec.errors import RowFault, UnreadableRow, Where


def read(path: Path, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield a row for each line that is not blank."""
    for line in lines(path, wanted):
        if not isinstance(line, Line):
            yield line
        elif not line.text.isspace():
            yield parse(line, str(path))


def parse(line: Line, file: str) -> RawRow | UnreadableRow:
    """Parse one line."""
    where = Where(file, line.number)
    try:
        return RawRow(where, json.loads(line.text), line.position)
    except json.JSONDecodeError as error:
        return UnreadableRow(where, f"not JSON: {error.msg} at character {error.colno}")
    except ValueError as error:
        return UnreadableRow(where, f"not JSON that can be held: {error}")
    except RecursionError:
        return UnreadableRow(where, "it is nested too deeply")


READER = Reader(name="jsonl", suffixes=(".jsonl", ".ndjson"), lines=True, read=read)
