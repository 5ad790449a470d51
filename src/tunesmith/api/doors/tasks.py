"""How `/api/training`, `/api/llm-finetuning` and `/api/system` show a job: a task, in an envelope."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Query

from tunesmith.api.doors.decisions import told
from tunesmith.api.doors.tasks_answers import Started, TaskRow, TaskView
from tunesmith.api.words import TASKS, fault, reason, stamp
from tunesmith.service.jobs.installed import modality_of
from tunesmith.service.jobs.queue import Job

Limit = Annotated[int, Query(ge=1, le=1000)]
"""Entries of a page."""
Before = Annotated[str | None, Query(max_length=128, description="The last id of the page before.")]
LLM: Final = "llm"
"""What a task is called that trains a language model."""
IMAGES: Final[dict[str, str]] = {
    "image_classifier": "image-classification",
    "object_detector": "object-detection",
    "text_to_image": "text-to-image",
}
"""What is trained, by the type of model."""
_TYPES: Final = {task: name for name, task in IMAGES.items()}
_MEASURES: Final = {"macro_f1": "f1_score"}
"""What measures are called here that the rest of the program calls otherwise."""


def started(job: Job, where: str, happened: str = "The task is queued.") -> Started:
    """Render a job that something was done to; ``where`` is the path below which it can be followed."""
    id = TASKS.id(job)
    return Started(task_id=id, status=TASKS.state(job), message=f"{happened} Follow it at {where}/status/{id}")


def row(job: Job) -> TaskRow:
    """Render a job for a list."""
    return TaskRow(**_facts(job))


def view(job: Job) -> TaskView:
    """Render a job with everything that is known of it."""
    method = job.plan.spec.recipe.method if job.plan else job.spec.recipe.method
    return TaskView(
        **_facts(job),
        message=reason(job) or "",
        method=str(method) if method else None,
        decisions=told(job),
        warnings=job.warnings,
    )


def asked(model: str, dataset: str, output: str) -> dict[str, str]:
    """Keep what a client wrote, to show it again: where it lies on the server is nobody else's business."""
    return {"model": model, "dataset": dataset, "output": output}


def _facts(job: Job) -> dict[str, Any]:
    numbers, written = job.progress, job.extra.get("asked", {})
    return {
        "task_id": TASKS.id(job),
        "name": job.name,
        "status": TASKS.state(job),
        "reason": reason(job),
        "progress": TASKS.progress(job),
        "model_type": _model_type(job),
        "base_model": written.get("model", job.spec.model.source),
        "dataset_path": written.get("dataset", ",".join(dataset.uri for dataset in job.spec.datasets)),
        "output_dir": written.get("output", job.spec.output.dir),
        "current_epoch": numbers.get("epoch"),
        "total_epochs": numbers.get("epochs"),
        "current_step": numbers.get("step"),
        "total_steps": numbers.get("total_steps"),
        "loss": numbers.get("loss"),
        "validation_loss": numbers.get("validation_loss"),
        "learning_rate": numbers.get("learning_rate"),
        "metrics": {
            _MEASURES.get(name, name): value
            for name, value in (numbers.get("metrics") or {}).items()
            if value is not None
        },
        "error": fault(job),
        "created_at": stamp(job.created_at),
        "started_at": stamp(job.started_at),
        "completed_at": stamp(job.ended_at),
    }


def _model_type(job: Job) -> str:
    """Return what is trained, in the words of these ways in, also where another one asked for it."""
    task = job.extra.get("task") or job.spec.task
    if "model_type" in job.extra or modality_of(task) == "text":
        return str(job.extra.get("model_type", LLM))
    return _TYPES.get(str(task)) or str(task).replace("-", "_")
