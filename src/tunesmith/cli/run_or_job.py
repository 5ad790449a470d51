"""What a user names: a run, and the job of a living server that it belongs to; where there is one, it is asked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunesmith.spec.errors import RunNotFound
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


def resumed_by_server(name: str, settings: Settings) -> Callable[[], Queued] | None:
    """Return what has a server go on with its job of that name; None where that is for this process to do.

    A cancelled or finished job is the server's no more: its run goes on as a run of its own.

    Raises:
        RunAmbiguous: there are several runs.
    """
    from tunesmith.cli.job_follower import Queued
    from tunesmith.service.jobs.remote import server_of

    if server_of(settings) is None:
        return None
    with suppress(RunNotFound):  # It may be a checkpoint.
        found = find(settings, name)
        server, job = found.server, found.job
        if server is not None and job is not None and job.state not in (RunState.CANCELLED, RunState.SUCCEEDED):
            past = frozenset({job.run} if job.run else ())
            return lambda: Queued(server, server.resume(job.id), settings, past)
    return None
