"""How many rows a file has: counted by a child process, as the file comes from somebody else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.spec.errors import DataError, NoUsableRow, Relayed, SubtaskDied, SubtaskTooSlow
from tunesmith.spec.job import DatasetRef
from tunesmith.store import datasets as stored
from tunesmith.store.datasets import Dataset

if TYPE_CHECKING:
    from tunesmith.service.context import Service

SECONDS: Final = 300.0
"""Time for the largest file that may be uploaded."""


def count_rows(service: Service, path: str, name: str) -> int:
    """Return how many rows of a file become examples; ``name`` is what its owner calls it.

    Raises:
        DataError: it cannot be read, or no row of it can be used.
    """
    rows = int(service.subtasks.call("count_rows", timeout=SECONDS, path=path))
    if rows == 0:
        raise NoUsableRow(name, 0, "")
    return rows


def count_set(service: Service, dataset: Dataset) -> Dataset:
    """Note how many rows a data set has; one of images, or of rows that nobody can read, stays uncounted."""
    try:
        rows = count_rows(service, dataset.path, dataset.name)
    except (DataError, Relayed, SubtaskDied, SubtaskTooSlow):
        return dataset
    with service.database.write() as connection:
        stored.change(connection, dataset.id, rows=rows)
    return replace(dataset, rows=rows)


def counted(path: str) -> int:
    """Count; runs in the child process."""
    from tunesmith.data.sampling import sample

    found = sample([DatasetRef(uri=path)], 100)
    if not found.examples and found.faults:
        raise NoUsableRow(Path(path).name, found.total_rows, found.faults[0].message.replace(path, Path(path).name))
    return found.total_rows
