"""What tasks of `/api/llm-finetuning` made: adapters, to be merged and exported."""

from __future__ import annotations

from typing import Any, NoReturn

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.tasks import Refusal
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.service.models.adapters import adapters as made_adapters
from tunesmith.spec.errors import NotYet
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/llm-finetuning", tags=["llm-finetuning"])


class AdapterRow(Part):
    """An adapter that a task made."""

    path: str
    name: str
    task_id: str | None
    config: dict[str, Any]
    """adapter_config.json."""


class MergeRequest(Part):
    """An adapter to be merged into its base."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"task_id": "9f3a5c01b2d4", "output_path": "/models/merged"}]}
    )

    task_id: str = Field(max_length=128)
    output_path: str = Field(min_length=1, max_length=4096)


@router.get("/adapters")
def adapters(service: Serving, by: Asker) -> list[AdapterRow]:
    """List the adapters that tasks made, the newest first."""
    return [
        AdapterRow(path=each.path, name=each.name, task_id=each.job, config=each.config)
        for each in made_adapters(service, by)
    ]


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


def _not_yet(task_id: str, what: str, service: Service, by: Principal) -> NoReturn:
    queue.get(service, task_id, by)
    raise NotYet(what)
