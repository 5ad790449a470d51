"""How many rows a file has: counted by a child process, as the file comes from somebody else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.spec.errors import NoUsableRow
from tunesmith.spec.job import DatasetRef

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


def counted(path: str) -> int:
    """Count; runs in the child process."""
    from tunesmith.data.sampling import sample

    found = sample([DatasetRef(uri=path)], 100)
    if not found.examples and found.faults:
        raise NoUsableRow(Path(path).name, found.total_rows, found.faults[0].message.replace(path, Path(path).name))
    return found.total_rows
