"""`/api/llm-finetuning`: train adapters of language models, watch and stop them, and see what they made."""

from __future__ import annotations

from typing import Annotated, Any, Final, NoReturn

from fastapi import APIRouter, Form, Query, UploadFile
from pydantic import ConfigDict, Field

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.incoming import named, stored
from tunesmith.api.doors.llm import Adapter, AdapterForm, AdapterJob, method_of, submission
from tunesmith.api.doors.llm_defaults import QLORA_FORM_DEFAULTS, defaults_for
from tunesmith.api.doors.tasks import Envelope, Limit, Refusal, Started, TaskRow, TaskView, row, started, view
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.service.datasets.counting import count_rows
from tunesmith.service.datasets.files import delete_file
from tunesmith.service.jobs import queue
from tunesmith.service.models.adapters import adapters as made_adapters
from tunesmith.service.models.aliases import models_for
from tunesmith.service.models.sizes import parameters_of
from tunesmith.spec.errors import DataError, NotYet, Relayed
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


class AdapterRow(Part):
    """An adapter that a task made."""

    path: str
    name: str
    task_id: str | None
    config: dict[str, Any]
    """adapter_config.json."""


class Uploaded(Envelope):
    """Data that was taken in."""

    path: str
    """What to give as dataset_path."""
    samples: int


class DataForm(Part):
    """A file of rows."""

    file: UploadFile


class TestRequest(Part):
    """A question to what a task made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"task_id": "9f3a5c01b2d4", "prompt": "Hello!"}]})

    task_id: str = Field(max_length=128)
    prompt: str = Field(max_length=100_000)
    max_tokens: int = Field(100, ge=1, le=4096)


class MergeRequest(Part):
    """An adapter to be merged into its base."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"task_id": "9f3a5c01b2d4", "output_path": "/models/merged"}]}
    )

    task_id: str = Field(max_length=128)
    output_path: str = Field(min_length=1, max_length=4096)


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
def tasks(
    service: Serving, by: Asker, limit: Limit = 100, before: Annotated[str | None, Query(max_length=128)] = None
) -> list[TaskRow]:
    """List tasks, the newest first; `before` is the last `task_id` of the page before."""
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


@router.get("/adapters")
def adapters(service: Serving, by: Asker) -> list[AdapterRow]:
    """List the adapters that tasks made, the newest first."""
    return [
        AdapterRow(path=each.path, name=each.name, task_id=each.job, config=each.config)
        for each in made_adapters(service, by)
    ]


@router.post("/test", status_code=501)
def test(request: TestRequest, service: Serving, by: Asker) -> Refusal:
    """Ask what a task made."""
    _not_yet(request.task_id, "Answering by this API", service, by)


@router.post("/merge", status_code=501)
def merge(request: MergeRequest, service: Serving, by: Asker) -> Refusal:
    """Merge an adapter into its base."""
    _not_yet(request.task_id, "Merging by this API", service, by)


@router.post("/merge/{task_id}", status_code=501)
def merge_task(task_id: str, service: Serving, by: Asker) -> Refusal:
    """Merge an adapter into its base, in the place that the server chooses."""
    _not_yet(task_id, "Merging by this API", service, by)


@router.get("/export/{task_id}", status_code=501)
def export(task_id: str, service: Serving, by: Asker) -> Refusal:
    """Export an adapter."""
    _not_yet(task_id, "Exporting by this API", service, by)


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
    return _start(form, named(stored(service, by, form.dataset, "fine-tune").id), path, service, by, further)


def _not_yet(task_id: str, what: str, service: Service, by: Principal) -> NoReturn:
    queue.get(service, task_id, by)
    raise NotYet(what)
