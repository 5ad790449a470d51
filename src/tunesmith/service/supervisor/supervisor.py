"""One loop per serving process: it claims jobs, has their runs started, follows them, and sees to how they end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from tunesmith.executors.base import Executor
from tunesmith.runs.liveness import this_process
from tunesmith.service.context import Service
from tunesmith.service.jobs.indexing import FolderIndex
from tunesmith.service.supervisor import ends, recovery
from tunesmith.service.supervisor.claiming import claim_next, say_why
from tunesmith.service.supervisor.control import steer
from tunesmith.service.supervisor.follower import follow
from tunesmith.service.supervisor.holding import Bench, Holding, has_ended
from tunesmith.service.supervisor.offers import offers_of
from tunesmith.service.supervisor.preparing import prepare, renew_run
from tunesmith.spec.errors import DatabaseUnusable, LeaseLost, TunesmithError
from tunesmith.spec.ids import new_id
from tunesmith.store import claims, machines
from tunesmith.store.claims import Lease
from tunesmith.store.machines import Server

log = logging.getLogger(__name__)

LOOK_AROUND: Final = 1.0
"""Seconds between two looks for jobs that others have left, and two notes on what queued jobs wait for."""
LONGEST_PAUSE: Final = 10.0
"""Seconds between two tries while the database is away, at most."""
LAST_LAUNCH: Final = 10.0
"""Seconds that the end of a server waits for a run that is just being started."""
KEPT: Final = 24 * 3600.0
"""Seconds for which a server that is gone is remembered."""


class Supervisor:
    """Sees to the jobs of one server; ``turn`` is one pass, ``run`` goes on until it is stopped."""

    def __init__(self, service: Service, executor: Executor, *, url: str | None = None) -> None:
        self._service, self._url = service, url
        self.id = new_id("server-")
        self.turned_at: float | None = None
        """When the last pass was done, by this process's clock."""
        self._bench = Bench(service, executor, self.id, service.settings.machine)
        self._held: dict[str, Holding] = {}
        self._folders = FolderIndex(service, owner=self.id)
        self._registered = False
        self._lanes: frozenset[str] = frozenset()
        self._renewed = self._looked = -float("inf")

    def run(self, stop: threading.Event) -> None:
        """Go round until ``stop`` is set. A database that is away is waited for; runs go on meanwhile."""
        pause = 0.0
        while not stop.is_set():
            self._service.wake.clear()
            try:
                self.turn()
                pause = 0.0
            except (SQLAlchemyError, DatabaseUnusable) as error:
                pause = min(LONGEST_PAUSE, max(self._service.settings.poll_seconds, 2 * pause))
                log.warning("The database cannot be used now (%s); next try in %.1f s", _first_line(error), pause)
                stop.wait(pause)
                continue
            except Exception:
                log.exception("A pass over the jobs broke off")
                stop.wait(self._service.settings.poll_seconds)
                continue
            self._service.wake.wait(self._service.settings.poll_seconds)
        self.close()

    def turn(self) -> None:
        """Do once whatever is to be done now."""
        self.register()
        self._renew()
        for lease in self._leases():
            self._step(self._held[lease.job], lease)
        self._drop_what_is_over()
        if self._is_time_to_look_around():
            self._folders.look()
            self._adopt()
            say_why(self._bench)
        self._claim()
        self.turned_at = time.monotonic()

    def claim_one(self) -> Holding | None:
        """Take the job whose turn it is for the free devices of this machine; None if there is none."""
        return claim_next(self._bench, self._lanes, self._service.settings.lease_seconds)

    def close(self) -> None:
        """Say that this server has ended. Its runs go on; whoever comes next on this machine adopts them.

        A run that is just being started is waited for; plans that are being made are made again by whoever comes.
        """
        try:
            for holding in list(self._held.values()):
                if holding.launching:
                    holding.wait(LAST_LAUNCH)
                    self._guard(holding, holding.apply)
            with self._service.database.write() as connection:
                machines.stop_server(connection, self.id, self._service.database.now(connection))
        except (SQLAlchemyError, DatabaseUnusable) as error:
            log.warning("The end of this server could not be noted (%s)", _first_line(error))

    def register(self) -> None:
        """Have this server, its machine and the devices that it lends known."""
        if self._registered:
            return
        settings, database, process = self._service.settings, self._service.database, this_process()
        offered = offers_of(settings)
        with database.write() as connection:
            now = database.now(connection)
            machines.see(connection, settings.machine, now)
            machines.forget(connection, now - KEPT)
            for server in machines.servers_of(connection, settings.machine):
                if recovery.is_gone(server) and now - server.seen_at > KEPT:
                    machines.remove_server(connection, server.id)
            if not machines.see_server(connection, self.id, now):
                server = Server(
                    self.id, settings.machine, settings.role, settings.device, self._url, process.pid,
                    process.started, process.boot, now, now, None,
                )  # fmt: skip
                machines.add_server(connection, server)
            for kind, slots in offered.items():
                machines.offer(connection, settings.machine, kind, slots)
        self._lanes = frozenset(offered)
        self._registered = True

    def _renew(self) -> None:
        """Prolong the leases, and tell the runs of it where another machine could take them over."""
        settings, database = self._service.settings, self._service.database
        if time.monotonic() - self._renewed < settings.lease_seconds / 3:
            return
        before = time.time()
        with database.write() as connection:
            now = database.now(connection)
            known = machines.see_server(connection, self.id, now)
            machines.see(connection, settings.machine, now)
            renewed = claims.renew(connection, self.id, now + settings.lease_seconds)
        self._registered = known
        self._renewed = time.monotonic()
        until = before + settings.lease_seconds
        for id, holding in self._held.items():
            # What has changed hands must not go on, however long this server was away.
            if holding.folder is not None and renewed.get(id) == holding.token:
                self._guard(holding, partial(renew_run, self._bench, holding, holding.folder, until))

    def _leases(self) -> list[Lease]:
        """Return what this supervisor still has; what it has no more is dropped."""
        with self._service.database.read() as connection:
            leases = {lease.job: lease for lease in claims.leases(connection, self.id)}
        for id, holding in list(self._held.items()):
            lease = leases.get(id)
            if lease is None or lease.token != holding.token:
                log.warning("Job %s belongs to another supervisor by now", id)
                del self._held[id]
        return [lease for id, lease in leases.items() if id in self._held]

    def _step(self, holding: Holding, lease: Lease) -> None:
        """Bring one job a step further."""
        self._guard(holding, holding.apply)
        if not holding.over:
            self._guard(holding, lambda: steer(self._bench, holding, lease))
        if not holding.over and holding.folder is not None and not holding.is_busy:
            self._guard(holding, lambda: self._watch(holding))

    def _watch(self, holding: Holding) -> None:
        """Store what a run has said; once its processes are gone and all is stored, conclude it."""
        # Life first: whatever a process wrote before it was seen dead is read after.
        ended = has_ended(self._bench, holding)
        more = follow(self._bench, holding)
        if more:
            self._service.wake.set()
        elif ended:
            ends.conclude(self._bench, holding)

    def _guard(self, holding: Holding, step: Callable[[], None]) -> None:
        """Do something with a job; one that another supervisor has taken over is let go.

        Whatever else goes wrong, such as a full disk, is this job's trouble alone; it is tried again.
        """
        try:
            step()
        except LeaseLost as error:
            log.warning("%s", error.message)
            holding.over = True
        except DatabaseUnusable:
            raise
        except (OSError, TunesmithError) as error:
            log.warning("Job %s could not be brought further (%s); it is tried again", holding.job.id, error)
        except Exception:
            log.exception("Job %s could not be brought further; it is tried again", holding.job.id)

    def _drop_what_is_over(self) -> None:
        self._held = {id: holding for id, holding in self._held.items() if not holding.over}

    def _is_time_to_look_around(self) -> bool:
        if time.monotonic() - self._looked < min(LOOK_AROUND, self._service.settings.lease_seconds / 3):
            return False
        self._looked = time.monotonic()
        return True

    def _adopt(self) -> None:
        with self._service.database.read() as connection:
            until = self._service.database.now(connection) + self._service.settings.lease_seconds
        for holding in recovery.adopt_all(self._bench, self._held, until):
            self._held[holding.job.id] = holding

    def _claim(self) -> None:
        """Take jobs for as long as there are any and devices for them."""
        while holding := self.claim_one():
            # Held only then: what is claimed and not begun, because the database went away, is taken up once more.
            prepare(self._bench, holding)
            self._held[holding.job.id] = holding


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
