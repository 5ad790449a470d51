"""The answers of `/api/v1` about trainings and the models that they made."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ConfigDict, Field

from tunesmith.spec.recipe import Part

STATUS: Final[dict[str, Any]] = {
    "training_id": "train_abc123def456",
    "org_id": "org_123",
    "status": "queued",
    "progress": 0.0,
}
MODEL: Final[dict[str, Any]] = {
    "model_id": "train_abc123def456",
    "created_at": 1763725312.5,
    "metadata": {"base_model": "meta-llama/Llama-2-7b-chat-hf", "validation_loss": 1.21, "perplexity": 3.35},
}


class TrainingStatus(Part):
    """A training as it stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [STATUS]})

    training_id: str
    org_id: str
    status: str
    """queued, running, completed, failed or cancelled."""
    progress: float = Field(ge=0, le=1)
    started_at: str | None = None
    completed_at: str | None = None
    error: str | None = None
    """What went wrong, and what to do."""
    metadata: dict[str, Any] = Field({})
    """What is known besides: model, numbers, what became of the conversations, what was chosen, warnings."""


class TrainingList(Part):
    """Trainings of an organisation, the newest first."""

    org_id: str
    jobs: list[TrainingStatus]
    has_more: bool = False
    """Whether older ones follow; ask for them with `before`, the last training_id."""


class TunedModel(Part):
    """A model that a training made."""

    model_config = ConfigDict(json_schema_extra={"examples": [MODEL]}, protected_namespaces=())

    model_id: str
    created_at: float
    """Seconds since the epoch."""
    metadata: dict[str, Any]


class TunedModels(Part):
    """Models of an organisation, the newest first."""

    org_id: str
    models: list[TunedModel]
    count: int


class ModelInfo(Part):
    """The newest model of an organisation."""

    model_config = ConfigDict(protected_namespaces=())

    org_id: str
    model_path: str
    metadata: dict[str, Any]
    loaded: bool
