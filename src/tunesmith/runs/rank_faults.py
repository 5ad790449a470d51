"""What went wrong in a process that has no voice: where several share a run, only the first one writes events."""

from __future__ import annotations

from typing import Final

from tunesmith.runs.durable import read_json, write_json
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.errors import Relayed, TunesmithError

NAME: Final = "fault-of-process-{}.json"
CRASH: Final = "crash"
"""Code of a fault that nobody has words for."""


def note_fault(run: RunFolder, rank: int, error: TunesmithError, code: str) -> None:
    """Leave a process's fault for the first one to tell; it is there before anybody sees the process gone."""
    content = {"code": code, "message": error.message, "exit_code": error.exit_code}
    write_json(run.path / NAME.format(rank), content)


def noted_fault(run: RunFolder) -> Relayed | None:
    """Return what another process found wrong, if one did."""
    for file in sorted(run.path.glob(NAME.format("*"))):
        match read_json(file):
            case {"code": str(code), "message": str(message), "exit_code": int(exit_code)}:
                return Relayed(message, code, exit_code)
    return None
