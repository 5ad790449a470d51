"""A supervisor whose jobs are done by the scripted worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripted_worker import WORKER
from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.folder import RunFolder
from tunesmith.service.accounts.principal import OPERATOR, Principal
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.work import WorkSubmission, submit_work
from tunesmith.service.supervisor.supervisor import Supervisor
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef, Output, Resources
from tunesmith.spec.recipe import Recipe
from tunesmith.spec.states import RunState
from tunesmith.spec.work import Work
from tunesmith.store.jobs import Job

PATIENCE = 60.0


@dataclass
class Shop:
    """A service, a supervisor of it, and jobs for both."""

    service: Service
    model: Path
    data: Path
    folder: Path
    supervisor: Supervisor
    others: list[Supervisor] = field(default_factory=list)

    def submit(self, name: str = "one", *, does: str = "train", steps: int = 3, **wanted: Any) -> Job:
        """Queue a job for the scripted worker."""
        spec = JobSpec(
            name=name,
            model=ModelRef(source=str(self.model)),
            datasets=[DatasetRef(uri=str(self.data))],
            recipe=Recipe(max_steps=steps, epochs=1000),
            output=Output(dir=str(self.folder / name)),
            resources=Resources(threads=1),
            labels={"does": does},
        )
        return queue.submit(self.service, queue.Submission(spec=spec, door="api", **wanted), OPERATOR)

    def trained(self, name: str, **wanted: Any) -> Job:
        """A training of that name that has succeeded; the runs of what is made of it do what the name says."""
        return self.until_state(self.submit(name, **wanted), RunState.SUCCEEDED)

    def submit_work(self, work: Work, by: Principal = OPERATOR, **wanted: Any) -> Job:
        """Queue an evaluation or an export for the scripted worker."""
        return submit_work(self.service, WorkSubmission(work, door="api", folder=self.folder, **wanted), by)

    def job(self, job: Job) -> Job:
        return queue.get(self.service, job.id, OPERATOR, kinds=queue.ALL_KINDS)

    def turn_until(self, condition: Callable[[], Any], supervisor: Supervisor | None = None) -> Any:
        """Let a supervisor go round until something is so."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            (supervisor or self.supervisor).turn()
            if found := condition():
                return found
            self.service.wake.wait(0.01)
            self.service.wake.clear()
        raise AssertionError(f"not within {PATIENCE:.0f} seconds")

    def until_state(self, job: Job, *states: RunState, supervisor: Supervisor | None = None) -> Job:
        """Go round until a job is in one of these states."""

        def there() -> Job | None:
            found = self.job(job)
            assert found.state in states or found.state is not RunState.FAILED, found.error
            return found if found.state in states else None

        found: Job = self.turn_until(there, supervisor)
        return found

    def states_of(self, job: Job) -> list[str]:
        """What the service said of a job, one state after another."""
        told = queue.events_of(self.service, job, limit=10_000)
        return [event.body["state"] for event in told if event.kind == "job" and "request" not in event.body]

    def run_of(self, job: Job) -> RunFolder:
        """The folder of the newest run."""
        run = self.job(job).run
        assert run is not None
        return RunFolder(self.service.settings.runs_dir / run)

    def another(self, **settings: Any) -> Supervisor:
        """A supervisor that knows nothing of the first one, as after a restart."""
        changed = Service(
            self.service.settings.model_copy(update=settings),
            self.service.database,
            self.service.wake,
            self.service.subtasks,
        )
        self.others.append(Supervisor(changed, LocalExecutor(worker=WORKER)))
        return self.others[-1]
