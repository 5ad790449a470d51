"""Jobs in our own terms: the whole specification in, everything that is known of it out."""

from __future__ import annotations

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


class JobView(Part):
    """A job as it stands."""

    id: str
    org: str
    name: str
    state: str
    reason: str | None
    progress: dict[str, Any]


def view(job: queue.Job) -> JobView:
    """Render a job."""
    return JobView(
        id=FORMS[0] + job.id, org=job.org, name=job.name, state=job.state, reason=job.reason, progress=job.progress
    )


@router.post("", status_code=status.HTTP_201_CREATED)
def submit(posted: Posted, service: Serving, by: Asker) -> JobView:
    """Queue a job."""
    wanted = queue.Submission(spec=posted.spec, door="api", org=posted.org, priority=posted.priority)
    return view(queue.submit(service, wanted, by))


@router.get("/{job_id}")
def get(job_id: str, service: Serving, by: Asker) -> JobView:
    """Return a job."""
    return view(queue.get(service, job_id, by))
