"""The processes that hold models: found or started by who asks, ended when nobody does or memory is short."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.planning.facts import device_facts
from tunesmith.service.serving.room import Room
from tunesmith.service.serving.targets import NOBODYS
from tunesmith.spec.errors import ModelGone, ModelTooLarge, NoMemoryYet, ServerBusy, TunesmithError
from tunesmith.spec.job import Resources

if TYPE_CHECKING:
    from tunesmith.service.serving.process import Held, Process
    from tunesmith.service.serving.targets import Target
    from tunesmith.settings import Settings

log = logging.getLogger("tunesmith.serving")
LOOK_EVERY: Final = 1.0
"""Seconds between two looks at what is idle, dead, or wanted by other servers."""
WAKE_EVERY: Final = 0.2
"""Seconds between two looks for memory while a model waits for it."""
PATIENCE: Final = 5.0
"""Seconds that a model waits for memory before the least recently used one that answers takes no further requests."""
AGAIN: Final = 5.0
"""Seconds after which it is worth asking again where all is busy."""
COOLING: Final = 3.0
"""Seconds in which a model that could not be loaded is not tried again."""


@dataclass
class Use:
    """What a process does for one target."""

    target: Target
    stamp: object = None
    """Of the files that were loaded; None before they are."""
    bytes: int = 0
    """Of the adapter in memory."""
    running: int = 0
    used_at: float = field(default_factory=time.time)


@dataclass(eq=False)
class Entry:
    """A process on the shelf."""

    held: Held
    name: str
    process: Process
    started: Future[None] = field(default_factory=Future)
    """Done when it answers; holds the error if it never will."""
    users: int = 0
    """Requests that need it, those that wait for its start too."""
    used_at: float = field(default_factory=time.time)
    uses: dict[Path | None, Use] = field(default_factory=dict)
    """By the folder of the adapter; None is the base alone."""
    admitted: bool = False
    """Whether memory was taken for it."""
    measured: int = 0
    """Bytes that it had when it was last looked at."""

    @property
    def is_up(self) -> bool:
        """Whether it has started well."""
        return self.started.done() and self.started.exception() is None

    @property
    def is_own(self) -> bool:
        """Whether it holds what one job trained, and nothing beside it."""
        return self.held.merged is not None or self.held.checkpoint is not None

    @property
    def promised(self) -> int:
        """Bytes that it has, or will have when it is loaded; none while it waits for them."""
        if not self.admitted or (self.is_up and self.measured):
            return self.measured
        return max(self.measured, self.process.needs)


class Shelf:
    """All processes of one pool. Every method may be called from any thread; only ``take_down`` and ``close`` wait."""

    def __init__(self, settings: Settings, make: Callable[[Held, str], Process]) -> None:
        self._settings = settings
        self._make = make
        self._entries: dict[Held, Entry] = {}
        self._leaving: list[Entry] = []
        self._failed: dict[Held, tuple[float, TunesmithError]] = {}
        self._changed = threading.Condition()
        self._accounts = threading.Lock()
        """Held while the room is told of what changes."""
        self._waiting: list[Entry] = []
        self._over = threading.Event()
        self._watcher: threading.Thread | None = None
        limit = settings.serve_memory_gb
        self._room = Room(settings.home / "serving", None if limit is None else int(limit * 1e9))
        self.counts: Counter[str] = Counter()
        """How often what happened: started, died, evicted, idle."""

    def join(self, held: Held, target: Target) -> Entry:
        """Return the process that holds something, started if need be, and count one more who uses it.

        Raises:
            ServerBusy: too many wait for its start already.
            TunesmithError: it could not be started a moment ago.
        """
        with self._changed:
            if self._over.is_set():
                raise ModelGone("the server is stopping")
            self._watch()
            entry = self._entries.get(held)
            if entry is not None and entry.is_up and not entry.process.alive:
                self._bury(entry)
                entry = None
            if entry is None:
                entry = self._begin(held)
            elif not entry.started.done() and entry.users >= self._settings.serve_rows + self._settings.serve_waiting:
                raise ServerBusy(entry.users, AGAIN)
            entry.users += 1
            entry.used_at = time.time()
            use = entry.uses.setdefault(target.weights, Use(target))
            if use.target.org == NOBODYS:  # Its owner may not have known it by the operator's name.
                use.target = target
            use.running += 1
            use.used_at = entry.used_at
            return entry

    def leave(self, entry: Entry, target: Target) -> None:
        """Count one less who uses a process."""
        with self._changed:
            entry.users -= 1
            entry.used_at = time.time()
            use = entry.uses.get(target.weights)
            if use is not None:
                use.running -= 1
                use.used_at = entry.used_at
            self._changed.notify_all()

    def entries(self) -> list[Entry]:
        """Return the processes that answer or will, the least recently used first."""
        with self._changed:
            return sorted(self._entries.values(), key=lambda entry: entry.used_at)

    def take_down(self, entry: Entry) -> bool:
        """End a process unless somebody uses it; return whether it was ended."""
        with self._changed:
            if entry.users or not entry.started.done() or self._entries.get(entry.held) is not entry:
                return False
            del self._entries[entry.held]
        self._end(entry)
        return True

    def look(self) -> None:
        """Bury what died, end what is idle, give way to other servers that wait, and write down what is held."""
        longest = self._settings.serve_idle_minutes * 60
        for entry in self.entries():
            if entry.is_up and not entry.process.alive:
                with self._changed:
                    self._bury(entry)
            elif time.time() - entry.used_at > longest and self.take_down(entry):
                self.counts["idle"] += 1
        self._clear_leaving()
        wanted = self._room.wanted()
        if wanted is not None:
            late = time.time() - wanted.since > PATIENCE
            self._give_way(wanted.lacks, late=late and self._promised() > wanted.held)
        self._measure()
        with self._accounts:
            self._room.tell(held=self._promised(), taken=self._taken())

    def close(self) -> None:
        """End every process."""
        with self._changed:
            self._over.set()
            entries = [*self._entries.values(), *self._leaving]
            self._entries.clear()
            self._leaving.clear()
            self._changed.notify_all()
        for entry in entries:
            self._end(entry)
        if self._watcher is not None:
            self._watcher.join()
        self._room.close()

    def _begin(self, held: Held) -> Entry:
        until, error = self._failed.get(held, (0.0, None))
        if error is not None and time.monotonic() < until:
            raise error.with_traceback(None)
        name = held.base.name
        entry = Entry(held, name, self._make(held, name))
        entry.started.set_running_or_notify_cancel()  # Whoever waits for it may give up; the start goes on.
        self._entries[held] = entry
        threading.Thread(target=self._start, args=(entry,), name=f"start {name}", daemon=True).start()
        return entry

    def _start(self, entry: Entry) -> None:
        try:
            self._make_room(entry)
            entry.process.start()
            if self._over.is_set():
                entry.process.stop()
        except BaseException as error:  # noqa: BLE001 - whoever waits for the start is told.
            with self._changed:
                if self._entries.get(entry.held) is entry:
                    del self._entries[entry.held]
                if isinstance(error, TunesmithError) and not isinstance(error, ServerBusy):
                    self._failed[entry.held] = (time.monotonic() + COOLING, error)
            entry.started.set_exception(error)
        else:
            self.counts["started"] += 1
            entry.measured = entry.process.memory()
            entry.started.set_result(None)

    def _make_room(self, entry: Entry) -> None:
        """Wait for a process's memory; whoever has waited for longest comes first.

        Raises:
            ModelTooLarge: the machine has not that much for models.
            NoMemoryYet: others answer for too long.
        """
        began = time.monotonic()
        with self._changed:
            self._waiting.append(entry)
        try:
            while not self._over.is_set():
                waited = time.monotonic() - began
                if self._waiting[0] is entry and self._take(entry, late=waited > PATIENCE):
                    return
                if waited > self._settings.serve_wait_seconds:
                    raise NoMemoryYet(entry.name, AGAIN)
                with self._changed:
                    self._changed.wait(WAKE_EVERY)
        finally:
            with self._changed:
                was_first = self._waiting[0] is entry
                self._waiting.remove(entry)
                self._changed.notify_all()
            if was_first:
                with self._accounts:
                    self._room.give_up()

    def _take(self, entry: Entry, *, late: bool) -> bool:
        """Take memory for a process, having others leave that nobody uses; return whether it was enough."""
        while True:
            self._measure()
            needs, free = entry.process.needs, device_facts(Resources()).memory
            with self._accounts:
                try:
                    lacks = self._room.take(needs, held=self._promised(), taken=self._taken(), free=free)
                except OverflowError as error:
                    raise ModelTooLarge(entry.name, needs / 1e9, error.args[0] / 1e9) from error
                entry.admitted = not lacks
            if not lacks:
                return True
            gave = self._give_way(lacks, late=late and self._room.holds_most())
            self._clear_leaving()
            if not gave:
                return False

    def _give_way(self, lacks: int, *, late: bool) -> bool:
        """End the least recently used ones that nobody uses until enough is free; return whether any was.

        Where that is not enough and it has taken long, the least recently used one of all takes no further requests.
        """
        freed = 0
        entries = self.entries()
        for entry in entries:
            if freed >= lacks:
                break
            size = entry.promised
            if self.take_down(entry):
                self.counts["evicted"] += 1
                log.info("model %s leaves memory, which another one needs", entry.name)
                freed += size
        if freed < lacks and late and not self._leaving:
            self._let_run_dry(next((entry for entry in entries if entry.is_up and entry.users), None))
        return freed > 0

    def _let_run_dry(self, entry: Entry | None) -> None:
        with self._changed:
            if entry is not None and self._entries.get(entry.held) is entry:
                del self._entries[entry.held]
                self._leaving.append(entry)

    def _clear_leaving(self) -> None:
        with self._changed:
            done = [entry for entry in self._leaving if not entry.users]
            self._leaving = [entry for entry in self._leaving if entry.users]
        for entry in done:
            self.counts["evicted"] += 1
            self._end(entry)

    def _bury(self, entry: Entry) -> None:
        """Forget a process that died; the next request starts another."""
        if self._entries.get(entry.held) is entry:
            del self._entries[entry.held]
        self.counts["died"] += 1
        log.warning("%s The next request loads the model again.", entry.process.end().message)
        threading.Thread(target=self._end, args=(entry,), daemon=True).start()

    def _end(self, entry: Entry) -> None:
        with contextlib.suppress(OSError):
            entry.process.stop()
        with self._changed:
            self._changed.notify_all()

    def _measure(self) -> None:
        for entry in self.entries():
            entry.measured = entry.process.memory()

    def _promised(self) -> int:
        with self._changed:
            return sum(entry.promised for entry in (*self._entries.values(), *self._leaving))

    def _taken(self) -> int:
        with self._changed:
            return sum(entry.measured for entry in (*self._entries.values(), *self._leaving))

    def _watch(self) -> None:
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._look_again_and_again, name="serving", daemon=True)
            self._watcher.start()

    def _look_again_and_again(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next second is another try.
                log.warning("loaded models could not be looked after: %s", error)
