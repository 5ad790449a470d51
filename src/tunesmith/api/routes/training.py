"""`/api/training`: train image models, watch and stop tasks, and fetch what they made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import Field

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors import images
from tunesmith.api.doors.images import ClassifierForm, DetectorForm, ImageJob, ModelType
from tunesmith.api.doors.incoming import named, pieces
from tunesmith.api.doors.tasks import Envelope, Limit, Started, TaskRow, TaskView, row, started, view
from tunesmith.api.words import stamp
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.service.datasets import sets
from tunesmith.service.datasets.counting import count_set
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.installed import need_task
from tunesmith.service.jobs.run_files import saved
from tunesmith.service.models.aliases import models_for
from tunesmith.service.models.archive import result_folder, zipped
from tunesmith.spec.recipe import Part
from tunesmith.spec.states import JOB_OVER

PREFIX: Final = "/api/training"
router = APIRouter(prefix=PREFIX, tags=["training"])

Before = Annotated[str | None, Query(max_length=128, description="The last id of the page before.")]


class ModelRow(Part):
    """A model that has a short name."""

    id: str
    name: str
    """What the hub calls it."""
    model_type: str
    parameters: str
    description: str


class DatasetRow(Part):
    """A data set that was uploaded or registered."""

    id: str
    name: str
    type: str
    """What it is meant for, or whether it is a file or a folder."""
    size: int
    """Bytes."""
    samples: int | None
    """Rows, as soon as they were counted."""
    created_at: str | None


class DatasetForm(Part):
    """A data set to be stored."""

    file: UploadFile
    """ZIP, tar, tar.gz (which are unpacked) or a file of rows."""
    name: str | None = Field(None, min_length=1, max_length=200)
    """What it is called. Open: as the file."""
    type: str | None = Field(None, pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}$")
    """What it is meant for, such as image_classifier. Open: whether it is a file or a folder."""


class CheckpointRow(Part):
    """A saved state of a task."""

    name: str
    step: int
    size: int
    """Bytes."""
    best: bool
    """Whether it is the best one by validation."""
    run: str


@router.post("/start")
def start(request: ImageJob, service: Serving, by: Asker) -> Started:
    """Train a model on images that lie on the server."""
    need_task(images.TASKS[request.model_type], images.TITLES[request.model_type])
    wanted = images.submission(request, request.model_type, named(request.dataset_path))
    return started(queue.submit(service, wanted, by), PREFIX)


@router.post("/image-classifier")
def image_classifier(
    form: Annotated[ClassifierForm, Form(media_type="multipart/form-data")], service: Serving, by: Asker
) -> Started:
    """Train an image classifier on the archive that comes with the request."""
    return _start_with_archive(form, "image_classifier", form.dataset, service, by, learning_rate=images.FORM_RATE)


@router.post("/object-detection")
def object_detection(
    form: Annotated[DetectorForm, Form(media_type="multipart/form-data")], service: Serving, by: Asker
) -> Started:
    """Train an object detector on the archive that comes with the request."""
    return _start_with_archive(form, "object_detector", form.dataset, service, by)


@router.get("/status/{task_id}")
def status(task_id: str, service: Serving, by: Asker) -> TaskView:
    """Show a task."""
    return view(queue.get(service, task_id, by, with_plan=True))


@router.post("/stop/{task_id}")
def stop(task_id: str, service: Serving, by: Asker) -> Started:
    """Cancel a task that is not over."""
    return started(queue.cancel(service, task_id, by), PREFIX, "The task is being stopped.")


@router.get("/tasks")
def tasks(service: Serving, by: Asker, limit: Limit = 100, before: Before = None) -> list[TaskRow]:
    """List tasks, the newest first."""
    number = queue.get(service, before, by).number if before else None
    return [row(job) for job in queue.listed(service, queue.Wanted(kinds=("train",), before=number, limit=limit), by)]


@router.get("/history")
def history(service: Serving, by: Asker, limit: Limit = 50, before: Before = None) -> list[TaskRow]:
    """List tasks that are over, the newest first."""
    number = queue.get(service, before, by).number if before else None
    wanted = queue.Wanted(kinds=("train",), states=JOB_OVER, before=number, limit=limit)
    return [row(job) for job in queue.listed(service, wanted, by)]


@router.get("/models")
def models(model_type: ModelType | None = None) -> list[ModelRow]:
    """List the base models that have a short name; any hub id or folder is as good."""
    found = [alias for alias in models_for() if alias.use in ([model_type] if model_type else images.TASKS)]
    return [
        ModelRow(
            id=alias.name,
            name=alias.published,
            model_type=alias.use,
            parameters=alias.size,
            description=alias.summary,
        )
        for alias in found
    ]


@router.get("/datasets")
def datasets(service: Serving, by: Asker, limit: Limit = 100, after: Before = None) -> list[DatasetRow]:
    """List data sets, the newest first."""
    return [_dataset(dataset) for dataset in sets.list_sets(service, by, after=after, limit=limit)]


@router.post("/datasets/upload")
def upload(
    form: Annotated[DatasetForm, Form(media_type="multipart/form-data")], service: Serving, by: Asker
) -> DatasetRow:
    """Store a data set; an archive is unpacked."""
    file = form.file.filename or "data"
    chunks = pieces(form.file.file)
    dataset = sets.store_set(service, by, name=form.name or file, file=file, chunks=chunks, type=form.type)
    return _dataset(count_set(service, dataset))


@router.delete("/datasets/{dataset_id}")
def delete_dataset(dataset_id: str, service: Serving, by: Asker) -> Envelope:
    """Remove a data set that no task reads."""
    gone = sets.delete_set(service, by, dataset_id)
    return Envelope(message=f"The data set '{gone.name}' is removed.")


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


def _start_with_archive(
    form: ClassifierForm | DetectorForm,
    model_type: ModelType,
    archive: UploadFile,
    service: Service,
    by: Principal,
    **defaults: Any,
) -> Started:
    """Nothing is stored for a task that cannot be trained."""
    need_task(images.TASKS[model_type], images.TITLES[model_type])
    file = archive.filename or "dataset.zip"
    dataset = sets.store_set(service, by, name=file, file=file, chunks=pieces(archive.file), type=model_type)
    wanted = images.submission(form, model_type, named(dataset.id), **defaults)
    return started(queue.submit(service, wanted, by), PREFIX)


def _dataset(dataset: sets.Dataset) -> DatasetRow:
    return DatasetRow(
        id=dataset.id,
        name=dataset.name,
        type=dataset.type,
        size=dataset.bytes,
        samples=dataset.rows,
        created_at=stamp(dataset.created_at),
    )
