"""CSV with a header line (RFC 4180); quoted fields may hold commas, quotes and line ends."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from tunesmith.data.lines import MAX_LINE, Line, lines
from tunesmith.data.sources import RawRow, Reader
from tunesmith.spec.errors import RowFault, UnreadableRow, Where

csv.field_size_limit(MAX_LINE)


def read(path: Path, wanted: Container[int] | None) -> Iterator[RawRow | RowFault]:
    """Yield a row for each record below the header; a row's number is the line on which it starts."""
    header: list[str] | None = None
    for record in _records(path):
        if isinstance(record, RowFault):
            yield record
        elif header is None:
            header = [name.strip() for name in record.values]
        elif len(record.values) > len(header):
            yield UnreadableRow(record.where, _too_many(len(record.values), len(header)))
        else:
            yield RawRow(record.where, dict(zip(header, record.values, strict=False)), record.position)


def _too_many(fields: int, columns: int) -> str:
    return f"it has {fields} fields where the header has {columns} columns (a comma inside a field needs quotes)"


@dataclass(frozen=True, slots=True)
class _Record:
    """The fields of one record."""

    values: list[str]
    where: Where
    position: int


class _Replay:
    """Hands lines to the CSV parser and can take back those of a record that went wrong."""

    def __init__(self, path: Path) -> None:
        self._lines = lines(path)
        self._again: deque[Line] = deque()
        self._taken: list[Line] = []
        self.position = 0

    def __iter__(self) -> _Replay:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        if not isinstance(line, Line):
            self._taken.clear()
            raise line
        self._taken.append(line)
        self.position = line.position
        return line.text

    def start(self) -> None:
        """Begin a record."""
        self._taken.clear()

    @property
    def first(self) -> int:
        """Number of the line on which the record starts."""
        return self._taken[0].number

    def retreat(self) -> None:
        """Read the record's lines but its first again."""
        self._again.extendleft(reversed(self._taken[1:]))


def _records(path: Path) -> Iterator[_Record | RowFault]:
    source = _Replay(path)
    parser = csv.reader(source, strict=True)
    while True:
        source.start()
        try:
            values = next(parser)
        except StopIteration:
            return
        except RowFault as fault:
            yield fault
        except csv.Error as error:
            yield UnreadableRow(Where(str(path), source.first), _explain(str(error)))
            source.retreat()
        else:
            if any(values):
                yield _Record(values, Where(str(path), source.first), source.position)


def _explain(message: str) -> str:
    swallowing = ("unexpected end of data", "field larger than field limit")
    return "a quote is opened and never closed" if message.startswith(swallowing) else f"not CSV: {message}"


READER = Reader(name="csv", suffixes=(".csv",), lines=False, read=read)
