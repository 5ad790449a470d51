"""How `/v1` shows a fine-tuning job."""

from __future__ import annotations

import time
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field

from tunesmith.api.doors.openai_hyperparameters import Resolved, resolved
from tunesmith.api.doors.openai_method import TASKS
from tunesmith.api.doors.openai_results import RESULTS
from tunesmith.api.words import OPENAI
from tunesmith.service.jobs.queue import Job
from tunesmith.service.models.tuned import tuned_name
from tunesmith.spec.recipe import Part
from tunesmith.spec.states import JOB_OVER, RunState

METHODS: Final = {task: name for name, task in TASKS.items()}
TOKEN: Final = "token"
OF_DATA: Final = 65
"""Exit code of errors that the data causes."""
JOB: Final[dict[str, Any]] = {
    "id": "ftjob-abc123def456",
    "object": "fine_tuning.job",
    "created_at": 1763725312,
    "status": "running",
    "model": "smollm2-135m-instruct",
    "fine_tuned_model": None,
    "organization_id": "default",
    "training_file": "file-abc123",
    "validation_file": None,
    "result_files": [],
    "seed": 42,
    "hyperparameters": {"n_epochs": 3, "batch_size": 8, "learning_rate_multiplier": 1.0},
    "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}},
}


class JobError(Part):
    """Why a job failed."""

    code: str
    message: str
    param: str | None = None
    """The field of the request that was at fault, where one was."""


class FineTuningJob(Part):
    """A fine-tuning job as it stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [JOB]})

    id: str
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    created_at: int
    finished_at: int | None
    estimated_finish: int | None
    status: str
    """validating_files, queued, running, paused, succeeded, failed or cancelled."""
    model: str
    fine_tuned_model: str | None
    organization_id: str
    training_file: str
    validation_file: str | None
    result_files: list[str]
    trained_tokens: int | None
    """None while it runs, and where pictures or recordings are trained on, which have none."""
    seed: int
    hyperparameters: Resolved
    method: dict[str, Any]
    integrations: list[dict[str, Any]] = Field([])
    metadata: dict[str, str] | None
    error: JobError | None


def view(job: Job) -> FineTuningJob:
    """Render a job, with its plan where it has one; one of another way in is shown in these words too."""
    over, done = job.state in JOB_OVER, job.state is RunState.SUCCEEDED
    numbers, asked = resolved(job), job.extra.get("asked", {})
    task = str(job.extra.get("task") or job.spec.task or "chat")
    method = job.extra.get("method") or METHODS.get(task, task.replace("-", "_"))
    shown = {"type": method, method: {"hyperparameters": numbers.model_dump(exclude_none=True)}}
    return FineTuningJob(
        id=OPENAI.id(job),
        created_at=int(job.created_at),
        finished_at=int(job.ended_at) if over and job.ended_at else None,
        estimated_finish=_estimated_finish(job),
        status=status(job),
        model=asked.get("model", job.spec.model.source),
        fine_tuned_model=model_name(job) if done else None,
        organization_id=job.org,
        training_file=job.extra.get("training_file") or asked.get("dataset", job.spec.datasets[0].uri),
        validation_file=job.extra.get("validation_file"),
        result_files=[RESULTS + job.id] if done else [],
        trained_tokens=_trained_tokens(job) if over else None,
        seed=job.spec.seed,
        hyperparameters=numbers,
        method=shown,
        metadata=job.extra.get("metadata"),
        error=_error(job),
    )


def status(job: Job) -> str:
    """Return the word for where a job stands; until its first run is made, its files are looked into."""
    if job.state is RunState.PREPARING and job.run is None:
        return "validating_files"
    return OPENAI.state(job)


def model_name(job: Job) -> str:
    """Return what the model is called that a job makes."""
    asked = job.extra.get("asked", {})
    return str(
        job.extra.get("model_name") or tuned_name(asked.get("model", job.spec.model.source), job.org, "", job.id)
    )


def _trained_tokens(job: Job) -> int | None:
    return job.progress.get("trained_tokens") if job.progress.get("counts", TOKEN) == TOKEN else None


def _estimated_finish(job: Job) -> int | None:
    """Return when a running job will end if it goes on as it did."""
    step, total, seconds = (job.progress.get(name) for name in ("step", "total_steps", "seconds"))
    if job.state is not RunState.RUNNING or not step or not total or not seconds:
        return None
    return int(time.time() + seconds / step * max(0, total - step))


def _error(job: Job) -> JobError | None:
    if job.state is not RunState.FAILED or job.error is None:
        return None
    param = "training_file" if job.error.get("exit_code") == OF_DATA else None
    return JobError(code=job.error.get("code", "error"), message=job.error["message"], param=param)
