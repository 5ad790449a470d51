"""Memory for models on this machine, which every server on it takes from.

Each pool keeps one small file in ``$TUNESMITH_HOME/serving``: what it holds, and what it lacks. Whoever wants to load
adds all of them up, under a lock, and takes only what is left. Where too little is left it says so in its file: the
others look there every second and end what nobody is asking, and one that holds more than who waits lets its least
recently used model run dry. Who has waited for longest comes first. So nobody is starved, and nobody's answer is cut.
"""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from tunesmith.runs.durable import write_json
from tunesmith.runs.liveness import Process, is_alive, this_process
from tunesmith.spec.recipe import Part

STEP: Final = 32 << 20
"""Bytes below which a change is not worth a write to the disk."""
FORGOTTEN: Final = 30 * 86_400.0
"""Seconds after which a file of another start of the machine goes; until then it may be that of another machine."""
SHARE: Final = 0.8
"""Of the memory that nothing else has, what models may take where no limit is set."""


class Share(Part):
    """What one pool has, and what it wants."""

    owner: Process
    held: int = 0
    """Bytes of its models; of one that loads, what it will take."""
    taken: int = 0
    """Bytes that its models have by now."""
    lacks: int = 0
    """Bytes that must come free before it can load what is asked for."""
    needs: int = 0
    """Bytes of what it wants to load."""
    since: float = 0.0
    """When it began to wait; seconds since the epoch."""


class Room:
    """One pool's part of the memory. One thread at a time may change it.

    ``limit`` is the memory of all models together in bytes; where it is None they may have a share of what is free.
    """

    def __init__(self, folder: Path, limit: int | None) -> None:
        self._folder = folder
        self._limit = limit
        self._share = Share(owner=this_process())
        self._file = folder / f"{self._share.owner.pid}-{secrets.token_hex(4)}.json"

    def take(self, needs: int, *, held: int, taken: int, free: int) -> int:
        """Take memory for a model; return the bytes that are lacking, 0 where it was taken.

        ``held`` and ``taken`` are those of this pool's models as they are, ``free`` is what nobody has.

        Raises:
            OverflowError: there is not that much, whoever gives way; its only argument is what there is.
        """
        with self._locked():
            others = self._others()
            limit = self._limit
            if limit is None:
                limit = int(SHARE * (free + taken + sum(share.taken for share in others)))
            if needs > limit:
                self._write(lacks=0, needs=0, since=0.0)
                raise OverflowError(limit)
            since = self._share.since or time.time()
            ahead = sum(share.needs for share in others if share.lacks and share.since < since)
            lacks = max(0, held + sum(share.held for share in others) + ahead + needs - limit)
            if lacks:
                self._write(held=held, taken=taken, lacks=lacks, needs=needs, since=since)
            else:
                self._write(held=held + needs, taken=taken, lacks=0, needs=0, since=0.0)
            return lacks

    def tell(self, *, held: int, taken: int) -> None:
        """Write down what this pool has now, where that has changed by more than a little."""
        if abs(held - self._share.held) >= STEP or abs(taken - self._share.taken) >= STEP:
            with self._locked():
                self._write(held=held, taken=taken)

    def give_up(self) -> None:
        """Want nothing more."""
        if self._share.lacks:
            with self._locked():
                self._write(lacks=0, needs=0, since=0.0)

    def wanted(self) -> Share | None:
        """Return what another pool waits for, that of the one that has waited for longest."""
        return min((share for share in self._others() if share.lacks), key=lambda share: share.since, default=None)

    def holds_most(self) -> bool:
        """Whether no other pool has more."""
        return all(share.held <= self._share.held for share in self._others())

    def close(self) -> None:
        """Give everything back."""
        self._file.unlink(missing_ok=True)

    def _others(self) -> list[Share]:
        """Read the files of the pools that live on this machine; those of pools that are gone go too."""
        found = []
        for file in self._folder.glob("*.json"):
            if file == self._file:
                continue
            with contextlib.suppress(OSError, ValidationError):
                share = Share.model_validate_json(file.read_bytes())
                if is_alive(share.owner):
                    found.append(share)
                elif share.owner.boot == self._share.owner.boot or time.time() - file.stat().st_mtime > FORGOTTEN:
                    file.unlink(missing_ok=True)
        return found

    def _write(self, **changed: object) -> None:
        self._share = self._share.model_copy(update=changed)
        write_json(self._file, self._share.model_dump(mode="json"))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
