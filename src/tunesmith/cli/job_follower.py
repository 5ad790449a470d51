"""Follows a job that a server has: while it waits in the queue, through its runs, and when the server goes away."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tunesmith.cli.figures import Figures
from tunesmith.cli.progress import View, watch
from tunesmith.spec.errors import Relayed, ServerGone, WrongRunState
from tunesmith.spec.events import Body, Event, Phase, Warned
from tunesmith.spec.states import RunState

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder
    from tunesmith.service.jobs.remote import RemoteJob, RemoteServer
    from tunesmith.settings import Settings

POLL: Final = 0.2
"""Seconds between two looks at a job that waits, at first, ..."""
PATIENT: Final = 2.0
"""... and after a while."""
ALIVE: Final = 1.0
"""Seconds between two looks whether the server lives, while its run is followed."""
PASSING: Final = frozenset({"too_many_requests", "database_unusable"})
"""Refusals that say nothing of the job."""


@dataclass(frozen=True)
class Queued:
    """A job that a server has."""

    server: RemoteServer
    job: RemoteJob
    settings: Settings
    past: frozenset[str] = frozenset()
    """Runs of the job that were over before."""
    begun: Callable[[RunFolder], None] | None = None
    """Told of each run as it begins."""


class JobFollower:
    """Shows a job to its end. Ctrl-C comes in as ``ask_to_end`` and ``stop_now``."""

    def __init__(self, queued: Queued, view: View, *, tells_queue: bool = True) -> None:
        self._server, self._settings, self._view, self._begun = (
            *(queued.server, queued.settings, view),
            queued.begun,
        )
        self._seen = set(queued.past)
        self._tells_queue = tells_queue
        self._told: set[str] = set()
        self._gone = self._left = False
        self.job = queued.job
        self.run: RunFolder | None = None
        """The run that goes on, or the last one."""
        self.figures = Figures()

    def follow(self) -> None:
        """Show the job's runs, one after another, until nothing more happens by itself."""
        while (run := self._next_run()) is not None:
            self._seen.add(run.id)
            self.run = run
            if self._begun:
                self._begun(run)
            self.figures = watch(run, _Listening(self._view, self._look_at_server))

    @property
    def lands(self) -> bool:
        """Whether the run ends with a result when it is cancelled."""
        from tunesmith.service.jobs import control

        return self.run is not None and control.lands(self.run)

    def ask_to_end(self) -> None:
        """Have the job saved and stopped, or landed: by the server, or by the run itself where that is gone."""
        from tunesmith.service.jobs import control

        try:
            (self._server.cancel if self.lands else self._server.pause)(self.job.id)
        except ServerGone:
            if self.run is None:
                self._left = True
                return
            with suppress(WrongRunState):
                (control.cancel if self.lands else control.pause)(self.run)
        except Relayed:
            pass  # It ended by itself in the meantime.

    def stop_now(self) -> None:
        """End the job at once. The server is told first, so that it takes the end for what it is."""
        from tunesmith.service.jobs import control

        with suppress(ServerGone, Relayed):
            self._server.cancel(self.job.id)
        if self.run is not None:
            control.stop_now(self.run)
        self._left = self._gone

    def _next_run(self) -> RunFolder | None:
        """Wait for a run that was not shown yet; None if there will be none."""
        wait = POLL
        while not self._left:
            self._look()
            run = self._run_of_job()
            if run is not None:
                return run
            if self.job.is_over or (self._gone and self.job.run in self._seen):
                return None
            self._tell_queue()
            time.sleep(wait)
            wait = min(PATIENT, wait * 1.1)
        return None

    def _run_of_job(self) -> RunFolder | None:
        from tunesmith.runs.folder import RunFolder

        if self.job.run is None or self.job.run in self._seen:
            return None
        run = RunFolder(self._settings.runs_dir / self.job.run)
        return run if run.exists() else None

    def _look(self) -> None:
        """Ask the server how the job stands; where it is gone, any other server of this home."""
        from tunesmith.service.jobs.remote import server_of

        try:
            found = self._server.get(self.job.id)
        except ServerGone:
            other = server_of(self._settings)
            if other is None:
                self._say_gone()
            else:
                self._server, self._gone = other, False
            return
        except Relayed as error:
            if error.code not in PASSING:
                raise
            return
        self.job = found or replace(self.job, state=RunState.CANCELLED, reason="deleted")

    def _look_at_server(self) -> None:
        from tunesmith.runs.liveness import is_alive

        if not is_alive(self._server.address.process):
            self._say_gone()

    def _say_gone(self) -> None:
        if not self._gone:
            goes_on = (self.job.run is not None and self.job.run not in self._seen) or self.run is not None
            then = "The run goes on." if goes_on else f"{self.job.id} stays in the queue for the next one."
            self._view.notice(f"The server at {self._server.url} went away. {then}")
        self._gone = True

    def _tell_queue(self) -> None:
        for sentence in self.job.warnings:
            if sentence not in self._told:
                self._told.add(sentence)
                self._show(Warned(message=sentence))
        if self.job.state is RunState.QUEUED:
            why = f": {self.job.waiting}" if self.job.waiting else ""
            self._show(Phase(name=f"queued as {self.job.id}{why}"))

    def _show(self, body: Body) -> None:
        if self._tells_queue:
            event = Event(seq=1, time=time.time(), body=body)
            self.figures.take(event)
            self._view.show(event, self.figures)


class _Listening:
    """A view that also looks at something else now and then while events come."""

    def __init__(self, view: View, look: Callable[[], None]) -> None:
        self._view, self._look, self._looked_at = view, look, time.monotonic()

    def show(self, event: Event, figures: Figures) -> None:
        """Show an event."""
        self._view.show(event, figures)
        if time.monotonic() - self._looked_at >= ALIVE:
            self._looked_at = time.monotonic()
            self._look()

    def notice(self, text: str) -> None:
        """Show a word of our own."""
        self._view.notice(text)
