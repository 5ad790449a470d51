"""Which of the columns that data sets ask to rename are there: a name that no row has is a slip of the keyboard."""

from __future__ import annotations

from collections.abc import Iterable

from tunesmith.data.columns import Row
from tunesmith.spec.errors import NoSuchColumn
from tunesmith.spec.job import DatasetRef


class Renames:
    """The renames of data sets, and those of them that no row has had a use for so far.

    A rename that stands for several data sets (``--columns`` holds for each ``--data``) is of use where one has it.
    """

    def __init__(self, datasets: Iterable[DatasetRef]) -> None:
        self._unused: dict[str, str] = {}
        self._where: list[str] = []
        self._found: list[str] = []
        for dataset in datasets:
            self._unused |= {have: wanted for wanted, have in dataset.columns.items()}
            self._where += [dataset.uri] if dataset.columns else []

    def see(self, row: Row) -> None:
        """Look at the columns of a row as its file names them; the row is of a data set that renames columns."""
        if not self._unused:
            return
        self._found = self._found or [str(name) for name in row]
        for name in [name for name in self._unused if name in row]:
            del self._unused[name]

    @property
    def fault(self) -> NoSuchColumn | None:
        """What is wrong with a rename that none of the rows seen has a use for; None where no row was seen."""
        if not self._unused or not self._found:
            return None
        have, wanted = next(iter(self._unused.items()))
        return NoSuchColumn(wanted, have, ", ".join(self._where), self._found)
