"""Jobs in our own terms: the whole specification in, everything that is known of it out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, status

from tunesmith.api.deps import Asker, Serving
from tunesmith.service.jobs import queue
from tunesmith.spec.ids import FORMS
from tunesmith.spec.job import JobSpec
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/jobs", tags=["jobs"])


class Posted(Part):
    """A job to be done."""

    spec: JobSpec
    org: str | None = None
    priority: int = 0
    folder: str | None = None
    """What relative paths start from: the command line's working folder. Open: the server's."""


class JobView(Part):
    """A job as it stands."""

    id: str
    org: str
    name: str
    state: str
    reason: str | None
    waiting: str | None
    """Why it is still queued, where there is something to say."""
    run: str | None
    """The run that goes on, or the last one."""
    progress: dict[str, Any]
    error: dict[str, Any] | None
    warnings: list[str]
    created_at: float


def view(job: queue.Job) -> JobView:
    """Render a job."""
    return JobView(
        id=FORMS[0] + job.id, org=job.org, name=job.name, state=job.state, reason=job.reason, waiting=job.waiting,
        run=job.run, progress=job.progress, error=job.error, warnings=job.warnings, created_at=job.created_at,
    )  # fmt: skip


@router.post("", status_code=status.HTTP_201_CREATED)
def submit(posted: Posted, service: Serving, by: Asker) -> JobView:
    """Queue a job."""
    folder = Path(posted.folder) if posted.folder else None
    wanted = queue.Submission(posted.spec, door="api", org=posted.org, priority=posted.priority, folder=folder)
    return view(queue.submit(service, wanted, by))


@router.get("/{job_id}")
def get(job_id: str, service: Serving, by: Asker) -> JobView:
    """Return a job."""
    return view(queue.get(service, job_id, by))


@router.post("/{job_id}/pause")
def pause(job_id: str, service: Serving, by: Asker) -> JobView:
    """Have a job save its state and stop."""
    return view(queue.pause(service, job_id, by))


@router.post("/{job_id}/resume")
def resume(job_id: str, service: Serving, by: Asker) -> JobView:
    """Queue a paused or failed job again."""
    return view(queue.resume(service, job_id, by))


@router.post("/{job_id}/cancel")
def cancel(job_id: str, service: Serving, by: Asker) -> JobView:
    """End a job."""
    return view(queue.cancel(service, job_id, by))
