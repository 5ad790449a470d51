"""Reads single examples again from their files, by the place that the token cache keeps of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from tunesmith.data.mixture import FormattedRow, Located, rows_of
from tunesmith.data.source_file import SourceFile
from tunesmith.spec.examples import Example
from tunesmith.spec.job import DatasetRef


def examples_at(located: Sequence[Located], places: NDArray[Any]) -> list[Example]:
    """Return the examples at some places (records of ``token_cache.EXAMPLE``), in their order."""
    wanted = [(int(place["file"]), int(place["row"])) for place in places]
    files = [(file, each.dataset) for each in located for file in each.files]
    found: dict[tuple[int, int], Example] = {}
    for number in {file for file, _ in wanted}:
        rows = {row for file, row in wanted if file == number}
        found |= {(number, row): example for row, example in _find(*files[number], rows)}
    return [found[place] for place in wanted if place in found]


def _find(file: SourceFile, dataset: DatasetRef, rows: set[int]) -> Iterator[tuple[int, Example]]:
    missing = set(rows)
    for row in rows_of(file, dataset, rows):
        if isinstance(row, FormattedRow) and row.example.where.row in missing:
            missing.remove(row.example.where.row)
            yield row.example.where.row, row.example
            if not missing:
                return
