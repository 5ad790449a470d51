"""`POST /train`, `GET /jobs` and `GET /jobs/{job_id}`: one call to train, two to watch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.train import TYPES, TrainRequest, submission
from tunesmith.api.doors.train_view import JobRow, JobView, Status, Submitted, row, submitted, view
from tunesmith.api.words import TRAIN
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.installed import need_modality
from tunesmith.service.jobs.training_config import read_training_config

router = APIRouter(tags=["train"])


@router.post("/train")
def train(request: TrainRequest, service: Serving, by: Asker) -> Submitted:
    """Submit a training job."""
    need_modality(TYPES[request.category], f"The category {request.category}")
    config = read_training_config(Path.cwd() / service.settings.training_config)
    return submitted(queue.submit(service, submission(request, config), by))


@router.get("/jobs")
def jobs(
    service: Serving,
    by: Asker,
    status: Status | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[str | None, Query(max_length=128)] = None,
) -> list[JobRow]:
    """List training jobs, the newest first; `before` is the last `job_id` of the page before."""
    wanted = queue.Wanted(
        kinds=("train",),
        states=TRAIN.meant(status) if status else (),
        before=queue.get(service, before, by).number if before else None,
        limit=limit,
    )
    return [row(job) for job in queue.listed(service, wanted, by)]


@router.get("/jobs/{job_id}")
def job(job_id: str, service: Serving, by: Asker) -> JobView:
    """Show a job, its numbers and its last lines."""
    found = queue.get(service, job_id, by, with_plan=True)
    return view(found, queue.last_events_of(service, found))
