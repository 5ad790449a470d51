"""What the document of `/api/llm-finetuning` takes for fields that a request leaves open, by dotted path in a job."""

from __future__ import annotations

from typing import Any, Final

DEFAULTS: Final[dict[str, Any]] = {
    "recipe.adapter.rank": 8,
    "recipe.adapter.alpha": 16,
    "recipe.adapter.dropout": 0.05,
    "recipe.adapter.targets": ["q_proj", "v_proj"],
    "recipe.length": 512,
    "recipe.learning_rate": 2e-4,
    "recipe.epochs": 3,
    "recipe.batch.size": 4,
    "recipe.batch.accumulation": 4,
}
"""The document's settings for a model of 7 billion parameters."""
LARGE: Final = 13_000_000_000
"""Parameters from which on these settings of the document hold instead."""
LARGE_DEFAULTS: Final[dict[str, Any]] = {
    "recipe.adapter.rank": 16,
    "recipe.adapter.alpha": 32,
    "recipe.learning_rate": 1e-4,
    "recipe.batch.size": 2,
    "recipe.batch.accumulation": 8,
}
QLORA_FORM_DEFAULTS: Final[dict[str, Any]] = {
    "recipe.adapter.rank": 64,
    "recipe.adapter.alpha": 16,
    "recipe.adapter.dropout": 0.1,
}
"""What the form for QLoRA takes, whatever the size."""


def defaults_for(parameters: int | None, further: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the document's settings for a model of this size."""
    large = LARGE_DEFAULTS if parameters is not None and parameters >= LARGE else {}
    return {**DEFAULTS, **large, **(further or {})}
