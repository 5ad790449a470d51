"""How `POST /train` and `GET /jobs` show a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from pydantic import ConfigDict

from tunesmith.api.doors import examples
from tunesmith.api.doors.decisions import told
from tunesmith.api.doors.log_lines import log_line
from tunesmith.api.doors.train import SHOWN, TYPES, Category
from tunesmith.api.words import TRAIN, fault, reason, stamp
from tunesmith.service.jobs.installed import modality_of
from tunesmith.service.jobs.queue import Job, StoredEvent
from tunesmith.spec.recipe import Part
from tunesmith.spec.states import RunState

Status = Literal["pending", "running", "completed", "failed"]


class Submitted(Part):
    """A job that was taken on."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.SUBMITTED]})

    job_id: str
    status: Status
    message: str
    category: Category
    model_type: str
    """text, vision, audio or multimodal."""
    model_name: str
    dataset_path: str
    output_dir: str


class JobRow(Part):
    """A job in a list."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.JOB_ROW]})

    job_id: str
    status: Status
    reason: str | None
    """Why it stands where it stands, where there is something to say."""
    progress: float
    """0 to 100."""
    category: Category
    model_type: str
    model_name: str
    dataset_path: str
    output_dir: str
    run_name: str | None
    created_at: str | None
    start_time: str | None
    end_time: str | None
    error: str | None
    """What went wrong, and what to do."""


class JobView(JobRow):
    """A job as it stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.JOB]})

    epoch: float | None
    epochs: float | None
    step: int | None
    total_steps: int | None
    loss: float | None
    """Mean of the last training losses."""
    validation_loss: float | None
    learning_rate: float | None
    method: str | None
    """full, lora, ...: known as soon as the job is planned."""
    decisions: list[str]
    """What was chosen for fields that the request leaves open, and why."""
    warnings: list[str]
    logs: list[str]
    """The last lines."""


def submitted(job: Job) -> Submitted:
    """Render a job that was just taken on."""
    shown = row(job).model_dump(include=set(Submitted.model_fields))
    return Submitted(**shown, message="The job is queued. Follow it at /jobs/" + job.id)


def row(job: Job) -> JobRow:
    """Render a job for a list; one that came through another way in is shown in these words too."""
    modality = modality_of(job.extra.get("task") or job.spec.task)
    category = job.extra.get("category") or SHOWN.get(modality, "LangText")
    asked = job.extra.get("asked", {})
    cancelled = job.state is RunState.CANCELLED
    return JobRow(
        job_id=TRAIN.id(job),
        status=TRAIN.state(job),
        reason="cancelled" if cancelled else reason(job),
        progress=TRAIN.progress(job),
        category=category,
        model_type=TYPES[category],
        model_name=asked.get("model", job.spec.model.source),
        dataset_path=asked.get("dataset", ",".join(dataset.uri for dataset in job.spec.datasets)),
        output_dir=asked.get("output", job.spec.output.dir),
        run_name=job.spec.name,
        created_at=stamp(job.created_at),
        start_time=stamp(job.started_at),
        end_time=stamp(job.ended_at),
        error="The job was cancelled." if cancelled else fault(job),
    )


def view(job: Job, events: Sequence[StoredEvent]) -> JobView:
    """Render a job with everything that is known of it."""
    numbers = {name: job.progress.get(name) for name in _NUMBERS}
    method = job.plan.spec.recipe.method if job.plan else job.spec.recipe.method
    return JobView(
        **row(job).model_dump(),
        **numbers,
        method=str(method) if method else None,
        decisions=told(job),
        warnings=job.warnings,
        logs=[log_line(event) for event in events],
    )


_NUMBERS: Final = ("epoch", "epochs", "step", "total_steps", "loss", "validation_loss", "learning_rate")
