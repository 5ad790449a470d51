"""The answers of `/api/training`, `/api/llm-finetuning` and `/api/system` about tasks."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from tunesmith.api.doors import examples
from tunesmith.spec.recipe import Part

Status = Literal["pending", "running", "completed", "failed", "cancelled"]


class Envelope(Part):
    """What every answer says of itself."""

    success: bool = True
    message: str = ""
    error: str | None = None


class Started(Envelope):
    """A task that was taken on."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.STARTED]})

    task_id: str
    status: Status


class TaskRow(Part):
    """A task in a list."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.TASK_ROW]})

    task_id: str
    name: str
    status: Status
    reason: str | None
    """Why it stands where it stands, where there is something to say."""
    progress: float
    """0 to 100."""
    model_type: str
    """llm, image_classifier, object_detector, text_to_image, or the task of another way in: speech_recognition, ..."""
    base_model: str
    dataset_path: str
    output_dir: str
    current_epoch: float | None
    total_epochs: float | None
    current_step: int | None
    total_steps: int | None
    loss: float | None
    """Mean of the last training losses."""
    validation_loss: float | None
    learning_rate: float | None
    metrics: dict[str, float]
    """What the last evaluation measured: accuracy and f1_score of a classifier, map50 of a detector, ..."""
    error: str | None
    """What went wrong, and what to do."""
    created_at: str | None
    started_at: str | None
    completed_at: str | None


class TaskView(TaskRow):
    """A task as it stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.TASK]})

    success: bool = True
    message: str = ""
    method: str | None
    """lora, qlora, ...: known as soon as the task is planned."""
    decisions: list[str]
    """What was chosen for fields that the request leaves open, and why."""
    warnings: list[str]
