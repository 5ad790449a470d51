"""How `/v1` shows what a fine-tuning job said, and its checkpoints."""

from __future__ import annotations

from typing import Any, Final, Literal

from tunesmith.api.doors.log_lines import sentence
from tunesmith.api.doors.openai_view import model_name
from tunesmith.api.words import OPENAI
from tunesmith.service.jobs.checkpoints import JobCheckpoint
from tunesmith.service.jobs.queue import Job, StoredEvent
from tunesmith.service.models.tuned import checkpoint_name
from tunesmith.spec.recipe import Part

EVENT: Final = "ftevent-"
"""Begins the id of an event."""
CHECKPOINT: Final = "ftckpt-"
"""Begins the id of a checkpoint."""
METRICS: Final = {
    "step": {"step": "step", "loss": "train_loss", "learning_rate": "learning_rate", "epoch": "epoch"},
    "evaluated": {"step": "step", "train_loss": "train_loss", "validation_loss": "full_valid_loss", "epoch": "epoch"},
    "tested": {"rows": "test_rows", "loss": "test_loss"},
}
"""What of an event's fields is shown as numbers, and how each is called."""
LEVELS: Final[dict[str, Literal["info", "warn", "error"]]] = {"warning": "warn", "failed": "error"}


class FineTuningEvent(Part):
    """Something that a job said."""

    id: str
    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message", "metrics"]
    data: dict[str, Any]


class CheckpointMetrics(Part):
    """What was measured at a checkpoint's step."""

    step: int
    train_loss: float | None
    full_valid_loss: float | None


class FineTuningCheckpoint(Part):
    """A state of the model on its way."""

    id: str
    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    step_number: int
    metrics: CheckpointMetrics


def event_view(event: StoredEvent) -> FineTuningEvent:
    """Render an event."""
    names = METRICS.get(event.kind, {})
    data = {name: event.body[field] for field, name in names.items() if event.body.get(field) is not None}
    return FineTuningEvent(
        id=f"{EVENT}{event.id}",
        created_at=int(event.time),
        level=LEVELS.get(event.kind, "info"),
        message=sentence(event),
        type="metrics" if names else "message",
        data=data if names else {"kind": event.kind},
    )


def checkpoint_view(job: Job, checkpoint: JobCheckpoint) -> FineTuningCheckpoint:
    """Render a checkpoint."""
    return FineTuningCheckpoint(
        id=f"{CHECKPOINT}{job.id}-{checkpoint.step}",
        created_at=int(checkpoint.created_at),
        fine_tuned_model_checkpoint=checkpoint_name(model_name(job), checkpoint.step),
        fine_tuning_job_id=OPENAI.id(job),
        step_number=checkpoint.step,
        metrics=CheckpointMetrics(
            step=checkpoint.step, train_loss=checkpoint.train_loss, full_valid_loss=checkpoint.validation_loss
        ),
    )
