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
    """Note how many rows a data set has, pictures and recordings too; one that nobody can read stays uncounted."""
    try:
        rows = count_rows(service, dataset.path, dataset.name)
    except (DataError, Relayed, SubtaskDied, SubtaskTooSlow):
        return dataset
    with service.database.write() as connection:
        stored.change(connection, dataset.id, rows=rows)
    return replace(dataset, rows=rows)


def counted(path: str) -> int:
    """Count the rows of every side; runs in the child process."""
    from tunesmith.data.media.facts import fault_of
    from tunesmith.data.mixture import locate
    from tunesmith.data.sampling import sample

    place = Path(path)
    within = str(place if place.is_dir() else place.parent)
    dataset = DatasetRef(uri=path, within=(within,))
    found = sample([dataset], 100)
    faults = (*found.faults, *filter(None, map(fault_of, found.examples)))
    if len(faults) == len(found.faults) + len(found.examples) and faults:
        raise NoUsableRow(place.name, found.total_rows, faults[0].message.replace(path, place.name))
    held_out = sum(len(file.laid or ()) for each in locate([dataset]) for file in each.files if file.side)
    return found.total_rows + held_out
