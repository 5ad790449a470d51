"""JSON: a list of rows, an object around one, or a single row. Lines of JSON under this name are read as such."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from pathlib import Path

from tunesmith.data.lines import Line, lines
from tunesmith.data.sources import RawRow, Reader, jsonl
from tunesmith.data.wrapped import rows, unwrap
from tunesmith.spec.errors import RowFault, UnreadableRow, Where


def read(path: Path, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield every row; bytes that are not text spoil only their own row."""
    content = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    if not content or content.isspace():
        return
    try:
        document = json.loads(content)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and _holds_lines(path):
            yield from jsonl.read(path, None)
        else:
            why = f"not JSON: {error.msg} at character {error.colno} of the line"
            yield UnreadableRow(Where(str(path), error.lineno), why)
    except ValueError as error:
        yield UnreadableRow(Where(str(path), 1), f"not JSON that can be held: {error}")
    except RecursionError:
        yield UnreadableRow(Where(str(path), 1), "it is nested too deeply")
    else:
        yield from rows(unwrap(document), path)


def _holds_lines(path: Path) -> bool:
    first = next((line for line in lines(path) if isinstance(line, Line) and not line.text.isspace()), None)
    return first is not None and isinstance(jsonl.parse(first, str(path)), RawRow)


READER = Reader(name="json", suffixes=(".json",), lines=False, read=read)
