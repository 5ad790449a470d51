"""`/api/llm-finetuning`: train adapters of language models, watch and stop them, and see what they made."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, UploadFile

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.incoming import named, stored
from tunesmith.api.doors.llm import Adapter, AdapterForm, AdapterJob, method_of, submission
from tunesmith.api.doors.llm_defaults import QLORA_FORM_DEFAULTS, defaults_for
from tunesmith.api.doors.tasks import Before, Limit, row, started, view
from tunesmith.api.doors.tasks_answers import Envelope, Started, TaskRow, TaskView
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.service.datasets.counting import count_rows
from tunesmith.service.datasets.files import delete_file
from tunesmith.service.jobs import queue
from tunesmith.service.models.aliases import models_for
from tunesmith.service.models.sizes import parameters_of
from tunesmith.spec.errors import DataError, Relayed, TunesmithError
from tunesmith.spec.recipe import Method, Part

PREFIX: Final = "/api/llm-finetuning"
router = APIRouter(prefix=PREFIX, tags=["llm-finetuning"])


class BaseModelRow(Part):
    """A model that has a short name."""

    id: str
    name: str
    """What the hub calls it."""
    parameters: str
    description: str


class Uploaded(Envelope):
    """Data that was taken in."""

    path: str
    """What to give as dataset_path."""
    samples: int


class DataForm(Part):
    """A file of rows."""

    file: UploadFile


@router.post("/lora/start")
def start_lora(request: AdapterJob, service: Serving, by: Asker) -> Started:
    """Train a LoRA adapter on data that lies on the server."""
    return _start(request, named(request.dataset_path), Method.LORA, service, by)


@router.post("/qlora/start")
def start_qlora(request: AdapterJob, service: Serving, by: Asker) -> Started:
    """Train an adapter on a base that is kept in 4 bits."""
    return _start(request, named(request.dataset_path), Method.QLORA, service, by)


@router.post("/lora")
def lora(form: Annotated[AdapterForm, Form(media_type="multipart/form-data")], service: Serving, by: Asker) -> Started:
    """Train a LoRA adapter on the file that comes with the request."""
    return _start_with_file(form, Method.LORA, service, by)


@router.post("/qlora")
def qlora(form: Annotated[AdapterForm, Form(media_type="multipart/form-data")], service: Serving, by: Asker) -> Started:
    """Train an adapter on a base in 4 bits, on the file that comes with the request."""
    return _start_with_file(form, Method.QLORA, service, by, QLORA_FORM_DEFAULTS)


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
    wanted = queue.Wanted(kinds=("train",), before=number, limit=limit)
    return [row(job) for job in queue.listed(service, wanted, by)]


@router.get("/models")
def models() -> list[BaseModelRow]:
    """List the base models that have a short name; any hub id or folder is as good."""
    return [
        BaseModelRow(id=alias.name, name=alias.published, parameters=alias.size, description=alias.summary)
        for alias in models_for("llm")
    ]


@router.post("/data/upload")
def upload(form: Annotated[DataForm, Form(media_type="multipart/form-data")], service: Serving, by: Asker) -> Uploaded:
    """Take rows in, and count them."""
    file = stored(service, by, form.file, "fine-tune")
    try:
        samples = count_rows(service, file.path, file.name)
    except (DataError, Relayed):
        delete_file(service, by, file.id)
        raise
    return Uploaded(path=named(file.id), samples=samples, message=f"{file.name} is stored.")


def _start(
    request: Adapter, dataset: str, path: Method, service: Service, by: Principal, further: dict[str, Any] | None = None
) -> Started:
    method = method_of(request, path)
    defaults = defaults_for(parameters_of(request.base_model, service.settings), further)
    return started(queue.submit(service, submission(request, dataset, method, defaults), by), PREFIX)


def _start_with_file(
    form: AdapterForm, path: Method, service: Service, by: Principal, further: dict[str, Any] | None = None
) -> Started:
    method_of(form, path)
    file = stored(service, by, form.dataset, "fine-tune")
    try:
        return _start(form, named(file.id), path, service, by, further)
    except TunesmithError:
        delete_file(service, by, file.id)
        raise
