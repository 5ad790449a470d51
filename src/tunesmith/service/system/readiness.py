"""Whether this server can do its work: does the database answer, and does its supervisor look at the queue?"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from tunesmith.executors.base import Executor
from tunesmith.service.context import Service
from tunesmith.store import events

log = logging.getLogger("tunesmith.service")
OVERDUE: Final = 60.0
"""Seconds without a turn of the supervisor after which it is not taken for well."""


class Supervising:
    """The supervisor of this process, in a thread of its own."""

    def __init__(self, service: Service, executor: Executor, url: str | None = None) -> None:
        from tunesmith.service.supervisor.supervisor import Supervisor

        self.service = service
        self.supervisor = Supervisor(service, executor, url=url)
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._begun_at = time.monotonic()
        self._trouble: str | None = None

    def start(self) -> None:
        """Begin to take jobs on."""
        threading.Thread(target=self.service.subtasks.get_ready, name="subtasks", daemon=True).start()
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Have no more jobs taken on; the runs that live go on."""
        self.stopping.set()
        self.service.wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    @property
    def trouble(self) -> str | None:
        """Why no job is taken on; None if all is well."""
        if self._trouble is not None:
            return self._trouble
        if not self._thread.is_alive():
            return "the supervisor has ended"
        since = time.monotonic() - (self.supervisor.turned_at or self._begun_at)
        return f"the supervisor has not looked at the queue for {since:.0f} seconds" if since > OVERDUE else None

    def _run(self) -> None:
        """Supervise until told to stop; a fault of the supervisor is logged, and it begins anew."""
        while not self.stopping.is_set():
            try:
                self.supervisor.run(self.stopping)
                self._trouble = None
            except Exception as error:
                log.exception("the supervisor failed and begins anew")
                self._trouble = f"the supervisor failed: {type(error).__name__}"
                self.stopping.wait(1.0)


def of_database(service: Service) -> str:
    """Return "ok", or why the database cannot be used."""
    try:
        with service.database.read() as connection:
            events.newest(connection)
    except Exception as error:  # noqa: BLE001 - whatever the driver says, the answer is that it cannot be used.
        log.warning("the database cannot be used: %s", error)
        return f"it cannot be used ({type(error).__name__})"
    return "ok"


def of_supervisor(supervising: Supervising | None) -> str:
    """Return "ok", "none" where this server has no supervisor, or what is wrong with it."""
    return "none" if supervising is None else supervising.trouble or "ok"
