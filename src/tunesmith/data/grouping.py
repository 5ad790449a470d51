"""Makes examples of rows; of those that belong together, one group is held at a time, however long the file is."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from typing import Final

from tunesmith.data.columns import Row
from tunesmith.data.formats import Format, GroupedFormat, PlacedRow, alone
from tunesmith.spec.errors import RowFault, UnreadableRow, Where
from tunesmith.spec.examples import Example

MAX_ROWS: Final = 10_000
"""Rows of one group that are held; the largest tree of OpenAssistant has some hundreds."""


@dataclass(frozen=True, slots=True)
class Made:
    """An example, its format, and how many rows it was made of."""

    example: Example
    format: str
    rows: int


class Grouping:
    """Turns rows into examples, and holds those of the group that is not complete yet.

    As a container it has the numbers of the rows to read where only some are wanted: a wanted row, and what follows it
    until its group ends.
    """

    def __init__(self, wanted: Container[int] | None = None) -> None:
        """Begin a file, of which only the ``wanted`` rows may be read (None: all)."""
        self._wanted = wanted
        self._skipped = False
        """Whether the row before the next one was left out."""
        self._format: GroupedFormat | None = None
        self._name = ""
        self._rows: list[PlacedRow] = []
        self._cut = False
        """Whether the group may have begun in rows that were left out."""

    def __contains__(self, number: object) -> bool:
        chosen = bool(self._rows) or self._is_wanted(number)
        self._skipped = self._skipped or not chosen
        return chosen

    def add(self, found: Format, row: Row, where: Where) -> Iterator[Made | RowFault]:
        """Yield what the group makes that ends before a row, and what the row makes if it stands alone."""
        name: str | RowFault | None = None
        if isinstance(found, GroupedFormat):
            try:
                name = found.group(row, where)
            except RowFault as fault:
                name = fault
        if self._rows and (found is not self._format or name != self._name):
            yield from self.close()
            if not self._is_wanted(where.row):
                self._skipped = True
                return
        skipped, self._skipped = self._skipped, False
        if isinstance(name, RowFault):
            yield name
        elif isinstance(found, GroupedFormat) and name is not None:
            if not self._rows:
                self._format, self._name, self._cut = found, name, skipped
            yield from self._hold(row, where)
        else:
            yield from _made(found.name, lambda: alone(found, row, where), where, 1)

    def close(self) -> Iterator[Made | RowFault]:
        """Yield what the held group makes; no faults of a group whose beginning may have been left out."""
        rows, found = self._rows, self._format
        self._rows, self._format = [], None
        if found is not None:
            for each in _made(found.name, lambda: found.examples(rows), rows[0][1], len(rows)):
                if not (self._cut and isinstance(each, RowFault)):
                    yield each

    def _is_wanted(self, number: object) -> bool:
        return self._wanted is None or number in self._wanted

    def _hold(self, row: Row, where: Where) -> Iterator[RowFault]:
        if len(self._rows) == MAX_ROWS:
            yield UnreadableRow(where, f"more than {MAX_ROWS} rows belong to '{self._name[:60]}'")
        else:
            self._rows.append((row, where))


def _made(name: str, examples: Callable[[], Iterator[Example]], where: Where, rows: int) -> Iterator[Made | RowFault]:
    try:
        for example in examples():
            yield Made(example, name, rows)
    except RowFault as fault:
        yield fault
    except RecursionError:
        yield UnreadableRow(where, "it is nested too deeply")
