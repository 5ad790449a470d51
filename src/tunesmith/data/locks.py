"""Locks on files, for processes that share the token cache; whoever ends, in whatever way, lets go of its own."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

_TAKEN: Final = (errno.EAGAIN, errno.EACCES)
_PAUSE: Final = 0.2
"""Seconds between two tries to get a lock."""


def shared(path: Path) -> BinaryIO | None:
    """Open a file and hold it, with others, until the result is closed; None if somebody has it alone.

    Raises:
        OSError: the file cannot be opened.
    """
    return _locked(path.open("rb"), path, fcntl.LOCK_SH)


def alone(path: Path) -> BinaryIO | None:
    """Hold a file, made where there is none, alone until the result is closed; None if somebody else holds it.

    Raises:
        OSError: the file cannot be opened.
    """
    return _locked(path.open("ab"), path, fcntl.LOCK_EX)


@contextmanager
def one_at_a_time(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Wait for the only hold on a file, calling ``waiting`` between tries; the file is gone when all are done."""
    while (held := alone(path)) is None:
        waiting()
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        held.close()


def _locked(file: BinaryIO, path: Path, kind: int) -> BinaryIO | None:
    """Lock an open file; a file system that knows no locks lets everybody in."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in _TAKEN:
            return file
    file.close()
    return None
