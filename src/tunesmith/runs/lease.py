"""How long a run may believe that its supervisor looks after it: ``lease.json``, where another machine may take over.

The supervisor renews it; a run whose lease has passed saves its state and stops, as another attempt may go on by now.
A run without a lease belongs to this machine alone, and goes on for as long as it takes.
"""

from __future__ import annotations

import time
from typing import Any, Final

from tunesmith.runs.durable import read_json, write_json
from tunesmith.runs.folder import RunFolder

FILE: Final = "lease.json"


def grant(run: RunFolder, until: float) -> None:
    """Let a run go on until a time of this machine's clock, in seconds since the epoch.

    Take the time before the database is asked to renew the lease: then the run stops no later than others may begin.
    """
    write_json(run.path / FILE, {"until": until})


class LeaseWatch:
    """Looks at a run's lease, again and again; costs one ``stat`` while nothing changes."""

    def __init__(self, run: RunFolder) -> None:
        self._path = run.path / FILE
        self._seen: tuple[int, int] | None = None
        self._until: float | None = None

    def has_passed(self) -> bool:
        """Whether there is a lease, and it has passed."""
        until = self.until()
        return until is not None and time.time() > until

    def until(self) -> float | None:
        """Return when the lease passes; None for a run that has none."""
        try:
            stat = self._path.stat()
        except OSError:
            return self._until
        if (mark := (stat.st_ino, stat.st_mtime_ns)) != self._seen:
            self._until, self._seen = _read(read_json(self._path)) or self._until, mark
        return self._until


def _read(content: Any) -> float | None:
    match content:
        case {"until": float(until) | int(until)}:
            return until
    return None
