"""Faults of rows as plain data: for files, for programs, for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tunesmith.spec.errors import RowFault, Where


def as_dict(fault: RowFault) -> dict[str, Any]:
    """Return a fault as ``tunesmith data check --json`` prints it."""
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
