"""A folder that is made whole or not at all, by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.spec.errors import OutputUnusable

if TYPE_CHECKING:
    from tunesmith.service.models.fetching import Progress


@contextlib.contextmanager
def made(target: Path, progress: Progress) -> Iterator[Path | None]:
    """Lend a folder whose ``result`` becomes the target at the end; None where another process has made it.

    Raises:
        OutputUnusable: nothing can be written where the target is to be.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputUnusable(target.parent, error.strerror or str(error)) from error
    with _alone(target, progress), _staging(target) as staging:
        if target.is_dir():
            yield None
            return
        yield staging
        (staging / "result").rename(target)


@contextlib.contextmanager
def _alone(target: Path, progress: Progress) -> Iterator[None]:
    """Let one process at a time make a folder; another waits and then finds it done."""
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another pull of the same name", None)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """Give a folder beside the target, after sweeping what a killed process left; it is gone at the end."""
    for left in target.parent.glob(f".{target.name}.staging-*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.staging-") as folder:
        yield Path(folder)
