"""Jobs in our own terms: the whole specification in, everything that is known of it out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Query, status
from fastapi.responses import StreamingResponse
from pydantic import Field

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.routes.runs import LARGEST, Limit, RunView, run_view
from tunesmith.api.words import OURS
from tunesmith.service.jobs import deletion, queue
from tunesmith.service.jobs.queue import ALL_KINDS
from tunesmith.service.jobs.work import WorkSubmission, submit_work
from tunesmith.service.models.archive import result_folder, zipped
from tunesmith.spec.errors import BadValue, Forbidden
from tunesmith.spec.job import JobSpec
from tunesmith.spec.plan import Plan
from tunesmith.spec.recipe import Part
from tunesmith.spec.states import RunState
from tunesmith.spec.work import Work

router = APIRouter(prefix="/api/jobs", tags=["jobs"])

EXAMPLE: Final = {
    "spec": {
        "name": "greetings",
        "model": {"source": "smollm2-135m-instruct"},
        "datasets": [{"uri": "chatterbot-corpus"}],
        "recipe": {"mode": "fast"},
        "output": {"dir": "./lora"},
        "labels": {"team": "support"},
    },
    "priority": 0,
}
EVALUATION: Final = {"work": {"kind": "evaluate", "model": "job-9f3a5c01b2d4", "baseline": "base", "rows": 100}}
EXPORT: Final = {"work": {"kind": "export", "source": "job-9f3a5c01b2d4", "what": "gguf", "quantization": "q8_0"}}
PRIORITIES: Final = 1_000
"""Priorities go from minus this to this."""


Kind = Literal["train", "evaluate", "export"]


class Posted(Part):
    """A job to be done: either a training or other work."""

    spec: JobSpec | None = None
    """What to train."""
    work: Work | None = None
    """An evaluation or an export of a model that is there."""
    org: str | None = None
    """Whose job it is. Open: the key's organisation, or default."""
    priority: int = Field(0, ge=-PRIORITIES, le=PRIORITIES)
    """Jobs of a higher priority go first."""
    folder: str | None = None
    """What relative paths start from; for the operator alone. Open: the server's folder, or the organisation's."""


class Resumed(Part):
    """Larger limits for a job that goes on; what is left out stays, and null is no limit any more."""

    epochs: float | None = Field(None, gt=0, le=10_000)
    max_steps: int | None = Field(None, ge=1, le=LARGEST)
    cycles: int = Field(1, ge=1, le=100_000)
    """In mode circular."""

    def limits(self) -> dict[str, Any]:
        """Return what was asked for, by dotted path in the job."""
        given = self.model_dump(exclude_unset=True)
        return {f"recipe.{'circular.cycles' if name == 'cycles' else name}": given[name] for name in given}


class JobView(Part):
    """A job as it stands."""

    id: str
    org: str
    door: str
    """The way in that it came through."""
    kind: str
    name: str
    state: RunState
    request: str
    """What is asked of it: none, checkpoint, pause or cancel."""
    reason: str | None
    """Why it stands where it stands, in words."""
    waiting: str | None
    """Why it is still queued, where there is something to say."""
    priority: int
    device: str
    """Where it may run: any, cpu, gpu, or side: beside the trainings."""
    run: str | None
    """The run that goes on, or the last one."""
    progress: dict[str, Any]
    """The newest numbers, such as step, total_steps and loss."""
    done: float
    """Share of it that is done, 0 to 1."""
    error: dict[str, Any] | None
    warnings: list[str]
    result: dict[str, Any] | None
    """What it made: model, output, summary."""
    labels: dict[str, str]
    created_at: float
    """Seconds since the epoch, as all times here."""
    started_at: float | None
    ended_at: float | None


class JobDetails(JobView):
    """A job and everything that is known of it."""

    spec: JobSpec | None
    """What is trained; None for other work."""
    work: Work | None
    """What is evaluated or exported; None for a training."""
    plan: Plan | None
    """None until it was planned, and for other work."""
    runs: list[RunView]


class JobPage(Part):
    """Jobs, the newest first."""

    jobs: list[JobView]
    next: int | None
    """Send it as ``before`` for the page after this one; None: there is none."""


class EventView(Part):
    """Something that a job or its run said."""

    id: int
    """Counts up over all jobs: the cursor, and the id of the event in streams."""
    job: str
    org: str
    run: str | None
    """None: the service said it of the job."""
    seq: int | None
    """Its number in the run's own log."""
    time: float
    kind: str
    body: dict[str, Any]


class EventPage(Part):
    """Events, the oldest first."""

    events: list[EventView]
    next: int
    """Send it as ``after`` for what comes later."""


class Deleted(Part):
    """Something that is gone."""

    id: str
    deleted: bool = True


def view(job: queue.Job) -> JobView:
    """Render a job."""
    return JobView(**_facts(job))


def _facts(job: queue.Job) -> dict[str, Any]:
    same = ("org", "door", "kind", "name", "state", "reason", "waiting", "priority", "device", "run", "progress")
    more = ("error", "warnings", "result", "created_at", "started_at", "ended_at")
    return {
        **{name: getattr(job, name) for name in (*same, *more)},
        "id": OURS.id(job),
        "request": str(job.request),
        "done": OURS.progress(job),
        "labels": job.training.labels if job.training else {},
    }


def event_view(event: queue.StoredEvent) -> EventView:
    """Render an event."""
    return EventView(**{**vars(event), "job": OURS.id_form + event.job})


@router.post("", status_code=status.HTTP_201_CREATED)
def submit(
    posted: Annotated[Posted, Body(examples=[EXAMPLE, EVALUATION, EXPORT])], service: Serving, by: Asker
) -> JobView:
    """Queue a training, an evaluation or an export.

    With an ``Idempotency-Key`` the same request may be sent again without a second job.
    """
    if posted.folder is not None and not by.is_operator:
        raise Forbidden("only the server's operator chooses the folder that a job starts in")
    folder = Path(posted.folder) if posted.folder else None
    rest: dict[str, Any] = {"door": "api", "org": posted.org, "priority": posted.priority, "folder": folder}
    if posted.spec is not None and posted.work is None:
        return view(queue.submit(service, queue.Submission(posted.spec, **rest), by))
    if posted.work is not None and posted.spec is None:
        return view(submit_work(service, WorkSubmission(posted.work, **rest), by))
    found = "both" if posted.spec else None
    raise BadValue("spec or work", found, "one of the two: spec (a training) or work (an evaluation or an export)")


@router.get("")
def listed(
    service: Serving,
    by: Asker,
    org: str | None = None,
    state: Annotated[list[RunState] | None, Query()] = None,
    door: Annotated[list[str] | None, Query()] = None,
    kind: Annotated[list[Kind] | None, Query(description="Open: of every kind.")] = None,
    before: Annotated[int | None, Query(ge=0, le=LARGEST, description="``next`` of the page before.")] = None,
    limit: Limit = 100,
) -> JobPage:
    """List jobs, the newest first."""
    wanted = queue.Wanted(
        org=org, states=state or (), doors=door or (), kinds=kind or (), before=before, limit=limit + 1
    )
    found = queue.listed(service, wanted, by)
    shown = found[:limit]
    return JobPage(jobs=[view(job) for job in shown], next=shown[-1].number if len(found) > limit else None)


@router.get("/{job_id}")
def get(job_id: str, service: Serving, by: Asker) -> JobDetails:
    """Return a job with its plan and its runs."""
    job = queue.get(service, job_id, by, with_plan=True, kinds=ALL_KINDS)
    runs = [run_view(run) for run in queue.runs_of(service, job)]
    return JobDetails(**_facts(job), spec=job.training, work=job.work, plan=job.plan, runs=runs)


@router.get("/{job_id}/events")
def events(
    job_id: str,
    service: Serving,
    by: Asker,
    after: Annotated[int, Query(ge=0, le=LARGEST, description="Id of the last event that is known.")] = 0,
    limit: Limit = 500,
) -> EventPage:
    """Return what a job and its runs said, the oldest first."""
    found = queue.events_of(service, queue.get(service, job_id, by, kinds=ALL_KINDS), after, limit)
    return EventPage(events=[event_view(event) for event in found], next=found[-1].id if found else after)


@router.get(
    "/{job_id}/result",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}},
)
def result(job_id: str, service: Serving, by: Asker) -> StreamingResponse:
    """Fetch the files that a job made: a trained model, an export, or the report of an evaluation, as a ZIP file."""
    job = queue.get(service, job_id, by, kinds=ALL_KINDS)
    headers = {"Content-Disposition": f'attachment; filename="{job.id}.zip"'}
    return StreamingResponse(zipped(result_folder(service, job)), media_type="application/zip", headers=headers)


@router.post("/{job_id}/pause")
def pause(job_id: str, service: Serving, by: Asker) -> JobView:
    """Have a job save its state and stop."""
    return view(queue.pause(service, job_id, by, kinds=ALL_KINDS))


@router.post("/{job_id}/resume")
def resume(
    job_id: str,
    service: Serving,
    by: Asker,
    larger: Annotated[Resumed | None, Body(examples=[{"epochs": 5}])] = None,
) -> JobView:
    """Queue a paused or failed job again, to its end or, with larger limits, beyond it."""
    return view(queue.resume(service, job_id, by, larger.limits() if larger else None, kinds=ALL_KINDS))


@router.post("/{job_id}/cancel")
def cancel(job_id: str, service: Serving, by: Asker) -> JobView:
    """End a job."""
    return view(queue.cancel(service, job_id, by, kinds=ALL_KINDS))


@router.delete("/{job_id}")
def delete(job_id: str, service: Serving, by: Asker) -> Deleted:
    """Delete a job that is over, with its run folders; what it published stays."""
    return Deleted(id=OURS.id(deletion.delete(service, job_id, by)))
