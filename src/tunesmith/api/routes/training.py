"""`/api/training`: train image models, watch and stop tasks, and fetch what they made."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, UploadFile

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors import images
from tunesmith.api.doors.images import ClassifierForm, DetectorForm, ImageJob, ModelType
from tunesmith.api.doors.incoming import named, pieces
from tunesmith.api.doors.tasks import Before, Limit, row, started, view
from tunesmith.api.doors.tasks_answers import Started, TaskRow, TaskView
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.service.datasets import sets
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.installed import need_task
from tunesmith.service.models.aliases import models_for
from tunesmith.spec.errors import TunesmithError
from tunesmith.spec.recipe import Part
from tunesmith.spec.states import JOB_OVER

PREFIX: Final = "/api/training"
router = APIRouter(prefix=PREFIX, tags=["training"])


class ModelRow(Part):
    """A model that has a short name."""

    id: str
    name: str
    """What the hub calls it."""
    model_type: str
    parameters: str
    description: str


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


def _start_with_archive(
    form: ClassifierForm | DetectorForm,
    model_type: ModelType,
    archive: UploadFile,
    service: Service,
    by: Principal,
    **defaults: Any,
) -> Started:
    """Nothing is stored for a task that cannot be trained, nor stays of one that is refused."""
    need_task(images.TASKS[model_type], images.TITLES[model_type])
    file = archive.filename or "dataset.zip"
    dataset = sets.store_set(service, by, name=file, file=file, chunks=pieces(archive.file), type=model_type)
    try:
        wanted = images.submission(form, model_type, named(dataset.id), **defaults)
        return started(queue.submit(service, wanted, by), PREFIX)
    except TunesmithError:
        sets.delete_set(service, by, dataset.id)
        raise
