"""One at a time in an output folder: a lock that a killed holder lets go by itself."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tunesmith.spec.errors import OutputLocked

PRIVATE: Final = ".tunesmith"
"""Folder inside an output that holds its lock, its claim and what is being staged; gone when nothing goes on."""


POLL: Final = 0.02
"""Seconds between two looks at a lock for which the wait has a limit; the system's own wait has none."""


@contextmanager
def locked(output: Path, *, patience: float | None = None) -> Iterator[Path]:
    """Hold the output's lock; give its private folder, which is removed afterwards if nothing is left in it.

    Without ``patience`` (seconds) the wait has no limit: a process that was stopped while it held the lock keeps it.

    Raises:
        OutputLocked: another process has it for longer than that.
    """
    private = output / PRIVATE
    file = _lock(private, patience)
    try:
        yield private
    finally:
        with contextlib.suppress(OSError):
            if os.listdir(private) == ["lock"]:
                (private / "lock").unlink()
                private.rmdir()
        os.close(file)


def _lock(private: Path, patience: float | None) -> int:
    """Open and lock the lock file; again if its last holder removed it in between."""
    path = private / "lock"
    end = None if patience is None else time.monotonic() + patience
    while True:
        private.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            continue
        if not _wait(file, end):
            os.close(file)
            raise OutputLocked(private.parent, patience or 0.0)
        try:
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        except FileNotFoundError:
            pass
        os.close(file)


def _wait(file: int, end: float | None) -> bool:
    """Lock an open file; return whether that was possible before the time was up."""
    if end is None:
        fcntl.flock(file, fcntl.LOCK_EX)
        return True
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(POLL)
