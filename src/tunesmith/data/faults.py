"""Faults of rows as plain data: for files, for programs, for people."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

from tunesmith.spec.errors import DiskFull, RowFault, Where

SHOWN: Final = 20
"""Faults that people are shown; all of them are in a file."""


@dataclass(frozen=True)
class Faults:
    """How many rows cannot be used, and the first of them: there may be a million."""

    count: int
    first: list[RowFault]
    """At most ``SHOWN``."""
    by_code: dict[str, int] = field(default_factory=dict)
    file: Path | None = None
    """Holds all of them, one a line; None where none was written."""

    def as_dict(self) -> dict[str, Any]:
        """Return them as ``tunesmith data check --json`` prints them."""
        return {
            "count": self.count,
            "by_code": self.by_code,
            "first": [as_dict(fault) for fault in self.first],
            "file": str(self.file) if self.file else None,
        }


class FaultLog:
    """Writes faults to a file as they come and keeps the first; the file takes its place when all is written."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._staging = path.with_name(f".{path.name}-{os.getpid()}") if path else None
        self._file: TextIO | None = None
        self._first: list[RowFault] = []
        self._codes: Counter[str] = Counter()

    def __enter__(self) -> FaultLog:
        """Make the file, so that a place that cannot be written to is found at once."""
        if self._staging:
            self._staging.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._staging.open("w", encoding="utf-8")
        return self

    def add(self, fault: RowFault) -> None:
        """Add a fault.

        Raises:
            DiskFull: there is no room for it.
        """
        self._codes[fault.code] += 1
        if len(self._first) < SHOWN:
            self._first.append(fault)
        if self._file:
            with _room(self._path):
                self._file.write(json.dumps(as_dict(fault)) + "\n")

    def finish(self) -> Faults:
        """Put the file in its place; where there is no fault, an earlier file of that name is removed."""
        if self._file and self._staging and self._path:
            with _room(self._path):
                self._file.close()
            if self._first:
                self._staging.replace(self._path)
            else:
                self._path.unlink(missing_ok=True)
        by_code = dict(self._codes.most_common())
        return Faults(sum(by_code.values()), self._first, by_code, self._path if self._first else None)

    def __exit__(self, *_: object) -> None:
        """Leave no half-written file."""
        if self._file and self._staging:
            with suppress(OSError):
                self._file.close()
            self._staging.unlink(missing_ok=True)


@contextmanager
def _room(path: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC or path is None:
            raise
        raise DiskFull(path.parent, 1, shutil.disk_usage(path.parent).free) from None


def as_dict(fault: RowFault) -> dict[str, Any]:
    """Return a fault as a line of the file of faults."""
    return {
        "file": fault.where.file,
        "row": fault.where.row,
        "column": fault.column,
        "code": fault.code,
        "message": fault.message,
    }


def from_dict(data: dict[str, Any]) -> RowFault:
    """Make the fault again; the inverse of ``as_dict``."""
    where = Where(data["file"], data["row"])
    kind = next((kind for kind in _kinds(RowFault) if kind.code == data["code"]), RowFault)
    fault = kind.__new__(kind)
    RowFault.__init__(fault, where, data["column"], data["message"].removeprefix(f"{where}: "))
    return fault


def _kinds(kind: type[RowFault]) -> Iterator[type[RowFault]]:
    yield kind
    for special in kind.__subclasses__():
        yield from _kinds(special)
