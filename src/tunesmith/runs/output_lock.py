"""One at a time in an output folder: a lock that a killed holder lets go by itself."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PRIVATE: Final = ".tunesmith"
"""Folder inside an output that holds its lock, its claim and what is being staged; gone when nothing goes on."""


@contextmanager
def locked(output: Path) -> Iterator[Path]:
    """Hold the output's lock; give its private folder, which is removed afterwards if nothing is left in it."""
    private = output / PRIVATE
    file = _lock(private)
    try:
        yield private
    finally:
        with contextlib.suppress(OSError):
            if os.listdir(private) == ["lock"]:
                (private / "lock").unlink()
                private.rmdir()
        os.close(file)


def _lock(private: Path) -> int:
    """Open and lock the lock file; again if its last holder removed it in between."""
    path = private / "lock"
    while True:
        private.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            continue
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        except FileNotFoundError:
            pass
        os.close(file)
