"""Delete a job that is over, and what it left in the home."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from tunesmith.service.accounts.principal import Principal, Role
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.queue import Job
from tunesmith.spec.errors import Conflict, WrongJobState
from tunesmith.spec.states import JOB_OVER
from tunesmith.store import events as stored_events
from tunesmith.store import jobs as stored_jobs
from tunesmith.store import models as stored_models
from tunesmith.store import runs as stored_runs


def delete(service: Service, written: str, by: Principal) -> Job:
    """Delete a job, its runs and their folders. What it published stays.

    Raises:
        NotFound: there is none.
        WrongJobState: it is not over.
        Conflict: the command line made it, a model is its result, or another job goes on with one of its runs.
    """
    job = queue.get(service, written, by, kinds=queue.ALL_KINDS)
    by.needs(Role.MEMBER)
    if job.indexed:
        raise Conflict(f"Job {job.id} was made by a command, not by this service.", "Delete its run folder yourself.")
    with service.database.write() as connection:
        current = stored_jobs.get(connection, job.id, alone=True)
        if current is None or current.state not in JOB_OVER:
            state = current.state if current else "gone"
            raise WrongJobState(job.id, state, "deleted", "Cancel it first.")
        runs = [run.id for run in stored_runs.of_job(connection, job.id)]
        if (user := stored_jobs.first_that_continues(connection, runs)) is not None:
            raise Conflict(f"Job {user} goes on with the result of job {job.id}.", "Wait for it, or cancel it.")
        if made := stored_models.listed(connection, job=job.id):
            raise Conflict(
                f"Job {job.id} made model '{made[0].name}', which needs its runs.", "Delete the model first."
            )
        stored_events.remove(connection, job.id)
        stored_jobs.remove(connection, job.id)
    for run in runs:
        _remove(service.settings.runs_dir / run)
    return job


def _remove(folder: Path) -> None:
    """Remove a run's folder, which is no run any more from the first moment on."""
    trash = folder.with_name(f".deleted-{folder.name}")
    with contextlib.suppress(FileNotFoundError):
        os.rename(folder, trash)
    shutil.rmtree(trash, ignore_errors=True)
