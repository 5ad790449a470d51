"""What a task of `/api/training` made: its result as a ZIP file, and its checkpoints."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from tunesmith.api.deps import Asker, Serving
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.run_files import saved
from tunesmith.service.models.archive import result_folder, zipped
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/training", tags=["training"])


class CheckpointRow(Part):
    """A saved state of a task."""

    name: str
    step: int
    size: int
    """Bytes."""
    best: bool
    """Whether it is the best one by validation."""
    run: str


@router.get(
    "/download/{task_id}",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}},
)
def download(task_id: str, service: Serving, by: Asker) -> StreamingResponse:
    """Fetch what a task made, as a ZIP file."""
    job = queue.get(service, task_id, by)
    content: Iterator[bytes] = zipped(result_folder(service, job))
    headers = {"Content-Disposition": f'attachment; filename="{job.id}.zip"'}
    return StreamingResponse(content, media_type="application/zip", headers=headers)


@router.get("/checkpoints/{task_id}")
def checkpoints(task_id: str, service: Serving, by: Asker) -> list[CheckpointRow]:
    """List the saved states of a task, the oldest first."""
    job = queue.get(service, task_id, by)
    return [
        CheckpointRow(name=each.name, step=each.step, size=each.bytes, best=each.best, run=run.id)
        for run in queue.runs_of(service, job)
        for each in saved(service, run)
    ]
