"""Settings that only pictures with texts have; a field is a flag of `tunesmith train` and a key under ``options``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tunesmith.spec.recipe import Part


class MultimodalOptions(Part):
    """What of a model of pictures and texts is trained, and how it is asked."""

    train_on: Literal["assistant", "all"] = Field(
        "assistant", json_schema_extra={"flag": "--train-on", "task": "image-text-to-text"}
    )
    """assistant: only what the assistant says is trained; all: every token of a conversation."""
    chat_template: str | None = Field(
        None, min_length=1, json_schema_extra={"flag": "--chat-template", "task": "image-text-to-text"}
    )
    """File with a Jinja chat template. Open: the model's own."""
    drop_duplicates: bool = Field(False, json_schema_extra={"flag": "--drop-duplicates"})
    """Train on an example only once however often the data holds it; duplicates are counted either way."""
    freeze_vision: bool = Field(True, json_schema_extra={"flag": "--freeze-vision", "task": "image-text-to-text"})
    """Leave what reads pictures as it is, where the model writes about them; else it is trained too."""
    freeze_image_tower: bool = Field(
        False, json_schema_extra={"flag": "--freeze-image-tower", "task": "image-text-contrastive"}
    )
    """Leave what reads pictures as it is, where pictures are compared with texts."""
    freeze_text_tower: bool = Field(
        False, json_schema_extra={"flag": "--freeze-text-tower", "task": "image-text-contrastive"}
    )
    """Leave what reads texts as it is, where pictures are compared with texts."""
    prompt: str = Field(
        "Describe the picture.", json_schema_extra={"flag": "--caption-prompt", "task": "image-text-to-text"}
    )
    """What a captioned picture is asked with, by a model that writes about pictures."""
    answered: int = Field(24, ge=0, le=500, json_schema_extra={"flag": "--answered-rows", "task": "image-text-to-text"})
    """Held-out rows whose answers are written and compared with the expected ones, at each evaluation."""
    answer_tokens: int = Field(
        64, ge=1, le=2048, json_schema_extra={"flag": "--answer-tokens", "task": "image-text-to-text"}
    )
    """Most tokens of such an answer."""
