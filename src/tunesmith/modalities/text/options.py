"""Settings that only text training has; a field is a flag of `tunesmith train` and a key under ``options``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tunesmith.spec.recipe import Part


class TextOptions(Part):
    """How text becomes tokens, and which of them are trained."""

    train_on: Literal["assistant", "all"] = Field("assistant", json_schema_extra={"flag": "--train-on"})
    """assistant: only what the assistant says is trained; all: every token of a conversation."""
    chat_template: str | None = Field(None, min_length=1, json_schema_extra={"flag": "--chat-template"})
    """File with a Jinja chat template. Open: the model's own."""
    drop_duplicates: bool = Field(False, json_schema_extra={"flag": "--drop-duplicates"})
    """Train on an example only once however often the data holds it; duplicates are counted either way."""
    dpo_beta: float = Field(0.1, gt=0, le=10, json_schema_extra={"flag": "--dpo-beta", "task": "dpo"})
    """Preference tuning: how closely the model stays with its base; smaller lets it go further."""
    dpo_label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, json_schema_extra={"flag": "--dpo-label-smoothing", "task": "dpo"}
    )
    """Preference tuning: share of the pairs that may be labelled the wrong way round (cDPO)."""
    mlm_probability: float = Field(0.15, gt=0, lt=1, json_schema_extra={"flag": "--mlm-probability", "task": "mlm"})
    """Masked language model: share of the tokens that are covered and learned, others in each epoch."""
