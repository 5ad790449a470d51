"""What is asked of a job, passed on to its run: the intent is in the database before anything is done about it."""

from __future__ import annotations

import time

from tunesmith.runs import control
from tunesmith.service.supervisor.ends import ASKED_FOR, settle
from tunesmith.service.supervisor.holding import Bench, Holding, fenced, in_a_thread
from tunesmith.spec.states import Request
from tunesmith.store.claims import Lease

ASKED, KILLED = 1, 2
"""How often the processes of a run were made to end."""


def steer(bench: Bench, holding: Holding, lease: Lease) -> None:
    """Have a run do what is asked of its job; a job that has no run yet is brought there at once.

    Raises:
        LeaseLost: the job belongs to another supervisor by now.
    """
    if holding.folder is None:
        if lease.request in ASKED_FOR and not holding.launching:
            with fenced(bench, holding) as (connection, job, now):
                settle(bench, holding, connection, job, now)
        return
    if lease.request is not Request.NONE and lease.requested_at != holding.asked_at:
        control.ask(holding.folder, lease.request)
        holding.asked_at, holding.asked_since = lease.requested_at, time.monotonic()
    if lease.request is Request.CANCEL:
        _insist(bench, holding, holding.asked_since)
    elif holding.silent_since is not None:
        _insist(bench, holding, holding.silent_since)


def _insist(bench: Bench, holding: Holding, since: float) -> None:
    """Make the processes of a run end: by a signal after a third of the patience, by force after all of it."""
    patience, waited = bench.service.settings.stop_seconds, time.monotonic() - since
    handle = holding.handle
    if handle is None:
        return
    if waited >= patience and holding.stops < KILLED:
        holding.stops = KILLED
        in_a_thread(lambda: bench.executor.stop(handle, force=True))
    elif waited >= patience / 3 and holding.stops < ASKED:
        holding.stops = ASKED
        bench.executor.stop(handle, force=False)
