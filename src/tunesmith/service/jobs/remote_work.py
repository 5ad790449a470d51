"""An evaluation or an export that a living server of this machine does: handed over, waited for, and cancelled."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from tunesmith.service.jobs.remote import server_of
from tunesmith.spec.errors import Cancelled, Conflict, Paused, Relayed, RunError, ServerGone
from tunesmith.spec.states import RunState

if TYPE_CHECKING:
    from tunesmith.service.jobs.remote import RemoteJob, RemoteServer
    from tunesmith.settings import Settings
    from tunesmith.spec.work import EvaluateSpec, ExportSpec

Tell = Callable[[str, float | None], None]

POLL: Final = 0.2
"""Seconds between two looks, at first, ..."""
PATIENT: Final = 2.0
"""... and after a while."""


def done_by_server(work: EvaluateSpec | ExportSpec, settings: Settings, tell: Tell) -> dict[str, Any] | None:
    """Have a server do it and return what its run said at the end; None where no server of this home lives.

    Relative paths start from the working folder. Whoever interrupts this cancels the job; if the server goes away the
    job goes on with the next one.

    Raises:
        Relayed: the server refuses it, or it failed, in its words; or somebody cancelled or paused it.
        Conflict: somebody deleted it.
        ServerGone: the server is gone.
    """
    server = server_of(settings)
    if server is None:
        return None
    job = server.submit_work(work, os.getcwd())
    try:
        return _result(_over(server, job, tell))
    except KeyboardInterrupt:
        with suppress(ServerGone, Relayed):
            server.cancel(job.id)
        raise


def _over(server: RemoteServer, job: RemoteJob, tell: Tell) -> RemoteJob:
    wait = POLL
    while not (job.is_over or job.state is RunState.PAUSED):
        waits = job.state is RunState.QUEUED
        doing = (job.waiting or f"queued at {server.url}") if waits else job.progress.get("phase", "beginning")
        tell(str(doing), job.progress.get("done"))
        time.sleep(wait)
        wait = min(PATIENT, wait * 1.1)
        found = server.get(job.id)
        if found is None:
            raise Conflict(f"Job {job.id} was deleted.", "Ask again.")
        job = found
    return job


def _result(job: RemoteJob) -> dict[str, Any]:
    if job.state is RunState.FAILED:
        error = job.error or {}
        message = str(error.get("message") or f"Job {job.id} failed.")
        raise Relayed(message, str(error.get("code")), int(error.get("exit_code") or RunError.exit_code))
    for ended in (Cancelled, Paused):
        if job.state == ended.code:
            raise Relayed(f"Job {job.id} is {ended.code} and has no result. Ask again.", ended.code, ended.exit_code)
    if job.state is not RunState.SUCCEEDED or job.result is None:
        raise Conflict(f"Job {job.id} is {job.state} and has no result.", "Ask again.")
    summary: dict[str, Any] = job.result["summary"]
    return summary
