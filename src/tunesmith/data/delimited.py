"""Records of fields with a delimiter between them, below a header line."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tunesmith.data.lines import MAX_LINE, Line, lines
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import RawRow
from tunesmith.spec.errors import RowFault, UnreadableRow, Where

MAX_LINES: Final = 100_000
"""Most lines that one record may take; beyond them a quote was never closed."""

csv.field_size_limit(MAX_LINE)


def read(file: SourceFile, delimiters: Sequence[str]) -> Iterator[RawRow | RowFault]:
    """Yield a row for each record below the header; a row's number is the line on which it starts.

    Fields are divided by the first of the ``delimiters`` that the header holds.
    """
    delimiter = _delimiter(file, delimiters)
    header: list[str] | None = None
    for record in _records(file, delimiter):
        if isinstance(record, RowFault):
            yield record
        elif header is None:
            if not any(record.values):
                continue
            header = [name.strip() for name in record.values]
            twice = _twice(header)
            if twice is not None:
                yield UnreadableRow(record.where, f"the header names column '{twice}' twice, and the last one is read")
        elif len(record.values) > len(header):
            yield UnreadableRow(record.where, _too_many(len(record.values), len(header), delimiter))
        else:
            yield RawRow(record.where, dict(zip(header, record.values, strict=False)), record.position)


def _delimiter(file: SourceFile, delimiters: Sequence[str]) -> str:
    for line in lines(file):
        if isinstance(line, Line) and not line.text.isspace():
            bare = "".join(line.text.split('"')[::2])
            return next((each for each in delimiters if each in bare), delimiters[0])
    return delimiters[0]


def _twice(header: list[str]) -> str | None:
    return next((name for place, name in enumerate(header) if name and name in header[:place]), None)


def _too_many(fields: int, columns: int, delimiter: str) -> str:
    what = {",": "comma", ";": "semicolon", "\t": "tab"}[delimiter]
    return f"it has {fields} fields where the header has {columns} columns (a {what} inside a field needs quotes)"


@dataclass(frozen=True, slots=True)
class _Record:
    """The fields of one record."""

    values: list[str]
    where: Where
    position: int


class _Replay:
    """Hands lines to the CSV parser and can take back those of a record that went wrong."""

    def __init__(self, file: SourceFile) -> None:
        self._lines = lines(file)
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
        if len(self._taken) == MAX_LINES:
            self._again.appendleft(line)
            raise csv.Error("field larger than field limit")
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


def _records(file: SourceFile, delimiter: str) -> Iterator[_Record | RowFault]:
    source, name = _Replay(file), file.name
    parser = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        source.start()
        try:
            values = next(parser)
        except StopIteration:
            return
        except RowFault as fault:
            yield fault
        except csv.Error as error:
            yield UnreadableRow(Where(name, source.first), _explain(str(error)))
            source.retreat()
        else:
            if values:
                yield _Record(values, Where(name, source.first), source.position)


def _explain(message: str) -> str:
    swallowing = ("unexpected end of data", "field larger than field limit")
    return "a quote is opened and never closed" if message.startswith(swallowing) else f"not CSV: {message}"
