"""What a user names: a run, and the job of a living server that it belongs to; where there is one, it is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.spec.errors import GoesOnFromNewest, RunNotFound
from tunesmith.spec.ids import job_id_of
from tunesmith.spec.states import RunState

if TYPE_CHECKING:
    from tunesmith.cli.job_follower import Queued
    from tunesmith.runs.folder import RunFolder
    from tunesmith.service.jobs.remote import RemoteJob, RemoteServer
    from tunesmith.settings import Settings


@dataclass(frozen=True)
class RunOrJob:
    """A run, its job, or both."""

    settings: Settings
    run: RunFolder | None
    """None: a job that has no run yet."""
    server: RemoteServer | None = None
    job: RemoteJob | None = None
    """The job whose newest run ``run`` is; None where no server has one."""

    @property
    def own_run(self) -> RunFolder:
        """The run.

        Raises:
            RunNotFound: there is only a job, which has none yet.
        """
        if self.run is None:
            raise RunNotFound(self.job.id if self.job else "", [])
        return self.run

    @property
    def name(self) -> str:
        """How the thing is called in sentences: the run's id, else the job's."""
        return self.run.id if self.run is not None else self.job.id if self.job is not None else ""

    def queued(self) -> Queued | None:
        """Return the job to be followed; None where no server has one."""
        from tunesmith.cli.job_follower import Queued

        if self.server is None or self.job is None:
            return None
        return Queued(self.server, self.job, self.settings)


def find(settings: Settings, name: str) -> RunOrJob:
    """Return the run with this id, beginning or name, or the job with this id.

    Raises:
        RunNotFound: there is neither.
        RunAmbiguous: there are several runs.
    """
    from tunesmith.runs.folder import RunFolder
    from tunesmith.service.jobs import index
    from tunesmith.service.jobs.remote import server_of

    server = server_of(settings)
    if server is not None and job_id_of(name) and (job := server.get(name)) is not None:
        run = RunFolder(settings.runs_dir / job.run) if job.run else None
        return RunOrJob(settings, run if run is not None and run.exists() else None, server, job)
    run = index.find(settings, name)
    job = server.get(run.id) if server is not None else None
    return RunOrJob(settings, run, server, job if job is not None and job.run == run.id else None)


def resumed_by_server(
    name: str, settings: Settings, checkpoint: Path | None = None, limits: Mapping[str, Any] | None = None
) -> Callable[[], Queued] | None:
    """Return what has a server go on with its job of that name; None where that is for this process to do.

    A cancelled or finished job is the server's no more: its run goes on as a run of its own.

    Raises:
        RunAmbiguous: there are several runs.
        GoesOnFromNewest: an older run or checkpoint of the job is meant.
    """
    from tunesmith.cli.job_follower import Queued
    from tunesmith.runs.folder import RunFolder
    from tunesmith.service.jobs.remote import server_of

    server = server_of(settings)
    if server is None:
        return None
    job = server.get(name) if job_id_of(name) else None
    run = _run_named(settings, name) if job is None else None
    job = server.get(run.id) if run is not None else job
    if job is None or job.state in (RunState.CANCELLED, RunState.SUCCEEDED):
        return None
    newest = RunFolder(settings.runs_dir / job.run) if job.run else None
    if (run and newest and run.id != newest.id) or (checkpoint and newest and not _starts_at(newest, checkpoint)):
        raise GoesOnFromNewest(job.id, server.url, checkpoint or name)
    past = frozenset({job.run} if job.run else ())
    return lambda: Queued(server, server.resume(job.id, limits), settings, past)


def _run_named(settings: Settings, name: str) -> RunFolder | None:
    from tunesmith.service.jobs import index

    with suppress(RunNotFound):  # It may be a checkpoint.
        return index.find(settings, name)
    return None


def _starts_at(run: RunFolder, checkpoint: Path) -> bool:
    from tunesmith.runs.checkpoints import start_of

    start = start_of(run)
    return start is not None and os.path.realpath(start.path) == os.path.realpath(checkpoint)
