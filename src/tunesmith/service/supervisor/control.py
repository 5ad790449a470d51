"""What is asked of a job, passed on to its run: the intent is in the database before anything is done about it."""

from __future__ import annotations

import logging
import time

from tunesmith.runs import control
from tunesmith.runs.folder import RunFolder
from tunesmith.service.supervisor.ends import ASKED_FOR, settle
from tunesmith.service.supervisor.holding import Bench, Holding, fenced, in_a_thread
from tunesmith.spec.errors import DiskFull
from tunesmith.spec.states import Request
from tunesmith.store.claims import Lease

log = logging.getLogger(__name__)

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
        holding.asked_at, holding.asked_since, holding.is_told = lease.requested_at, time.monotonic(), False
    if not holding.is_told:
        holding.is_told = _tell(holding.folder, lease.request)
    if lease.request is Request.CANCEL:
        _insist(bench, holding, holding.asked_since)
    elif holding.silent_since is not None:
        _insist(bench, holding, holding.silent_since)


def _tell(run: RunFolder, request: Request) -> bool:
    """Write down for a run what is asked of it; a full disk keeps nobody from ending it by other means."""
    try:
        control.ask(run, request)
    except (OSError, DiskFull) as error:
        log.warning("Run %s cannot be told what is asked of it (%s); it is tried again", run.id, error)
        return False
    return True


def _insist(bench: Bench, holding: Holding, since: float) -> None:
    """Make the processes of a run end: by a signal after a third of the patience, by force after all of it.

    What has no state to save gets the signal at once.
    """
    patience, waited = bench.service.settings.stop_seconds, time.monotonic() - since
    hint = 0.0 if holding.job.work is not None and holding.silent_since is None else patience / 3
    handle = holding.handle
    if handle is None:
        return
    if waited >= patience and holding.stops < KILLED:
        holding.stops = KILLED
        in_a_thread(lambda: bench.executor.stop(handle, force=True))
    elif waited >= hint and holding.stops < ASKED:
        holding.stops = ASKED
        bench.executor.stop(handle, force=False)
