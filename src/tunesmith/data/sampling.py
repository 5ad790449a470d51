"""A quick look at data sets: a few rows from all over them, and how many rows there are."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tunesmith.data.mixture import FormattedRow, Located, locate, rows_of
from tunesmith.data.renames import Renames
from tunesmith.data.source_file import SourceFile
from tunesmith.data.sources import reader_of
from tunesmith.spec.errors import NoSuchColumn, RowFault
from tunesmith.spec.examples import Example
from tunesmith.spec.job import DatasetRef

COUNTED_BYTES: Final = 256 * 2**20
"""Lines are counted in so much of a file; the rest is extrapolated."""
PARSED_BYTES: Final = 16 * 2**20
"""Files without lines are parsed to be counted; of a large one only so much, where it can be read piece by piece."""


@dataclass(frozen=True)
class Sample:
    """What a sample of the data holds."""

    examples: list[Example]
    faults: list[RowFault]
    """Of the rows looked at."""
    formats: dict[str, int]
    """Examples by format."""
    total_rows: int
    """Rows in all, within each data set's limit."""
    exact: bool
    """Whether ``total_rows`` was counted, not extrapolated."""
    whole: bool = True
    """Whether every row was looked at."""
    sides: frozenset[str] = frozenset()
    """Sides that the data brings rows of its own for: validation, test."""
    misnamed: NoSuchColumn | None = None
    """What is wrong with a rename that no row looked at has a use for."""


@dataclass(frozen=True)
class _Counted:
    """A file and how many rows it holds."""

    file: SourceFile
    rows: int
    counted: int
    """Rows in the part that was counted; fewer than ``rows`` where the rest is extrapolated."""


def sample(datasets: Sequence[DatasetRef], n: int) -> Sample:
    """Look at about ``n`` rows, spread evenly over all data sets; blank lines are counted as rows.

    Raises:
        DataError: a data set cannot be found.
    """
    renames = Renames(datasets)
    everything = locate(datasets)
    sides = frozenset(file.side for each in everything for file in each.files if file.side)
    located = [each for each in everything if not any(file.side for file in each.files)]
    counted = [(each, [_count(file, each.dataset) for file in each.files]) for each in located]
    totals = [_within_limit(each, files) for each, files in counted]
    step = max(1, -(-sum(totals) // n))
    looked_at = [
        list(itertools.islice(_spread(each, files, step, renames), -(-total // step)))
        for (each, files), total in zip(counted, totals, strict=True)
    ]
    seen = list(itertools.chain.from_iterable(looked_at))
    rows = [row for row in seen if isinstance(row, FormattedRow)]
    together = any(row.rows > 1 for row in rows)
    counted_all = all(file.rows == file.counted for _, files in counted for file in files)
    return Sample(
        examples=[row.example for row in rows],
        faults=[row for row in seen if isinstance(row, RowFault)] + _empty(counted),
        formats=dict(Counter(row.format for row in rows)),
        total_rows=sum(_examples_in(*each, some) for each, some in zip(counted, looked_at, strict=True)),
        exact=not together and counted_all,
        whole=step == 1 and counted_all,
        misnamed=renames.fault,
        sides=sides,
    )


def _empty(counted: Sequence[tuple[Located, Sequence[_Counted]]]) -> list[RowFault]:
    """Return the faults of files without a row."""
    empty = [(each.dataset, file.file) for each, files in counted for file in files if not file.rows]
    return [row for dataset, file in empty for row in rows_of(file, dataset) if isinstance(row, RowFault)]


def _examples_in(located: Located, files: Sequence[_Counted], looked_at: Sequence[FormattedRow | RowFault]) -> int:
    """Return rows within the limit; examples instead, by the sample, where several rows make one."""
    made = [row for row in looked_at if isinstance(row, FormattedRow)]
    together = sum(row.rows for row in made)
    rows = sum(file.rows for file in files)
    examples = rows * len(made) // together if together > len(made) else rows
    return min(examples, located.dataset.limit or examples)


def _within_limit(located: Located, files: Sequence[_Counted]) -> int:
    rows = sum(file.rows for file in files)
    return min(rows, located.dataset.limit or rows)


def _spread(
    located: Located, files: Sequence[_Counted], step: int, renames: Renames
) -> Iterator[FormattedRow | RowFault]:
    """Yield every ``step``-th row, or as many from the counted part; a limited data set is looked at from its start."""
    for each in files:
        if not each.rows:
            continue
        stride = max(1, step * each.counted // max(each.rows, 1))
        reader = reader_of(each.file)
        if reader.skips:
            yield from rows_of(each.file, located.dataset, range(1, each.counted + 1, stride), renames=renames)
            continue
        for row in itertools.islice(rows_of(each.file, located.dataset, renames=renames), 0, each.counted, stride):
            if isinstance(row, FormattedRow) and not reader.count:
                yield replace(row, rows=1)
            else:
                yield row


def _count(file: SourceFile, dataset: DatasetRef) -> _Counted:
    try:
        size = file.size
        count = reader_of(file).count
        rows, seen = count(file, COUNTED_BYTES) if count else _count_rows(file, dataset, size)
    except OSError:
        return _Counted(file, 1, 1)
    return _Counted(file, rows * size // seen if seen else 0, rows)


def _count_rows(file: SourceFile, dataset: DatasetRef, size: int) -> tuple[int, int]:
    """Return rows counted and bytes read for that."""
    rows = 0
    for rows, row in enumerate(rows_of(file, dataset), 1):
        if isinstance(row, FormattedRow) and PARSED_BYTES < row.position < size:
            return rows, row.position
    return rows, size
