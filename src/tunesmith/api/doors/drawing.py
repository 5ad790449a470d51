"""Pictures made of texts, as OpenAI asks for them and answers."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import ConfigDict, Field

from tunesmith.api.doors.openai_asking import Model
from tunesmith.spec.recipe import Part

DRAWING: Final[dict[str, Any]] = {"model": "sd-v1-5", "prompt": "a red teapot", "size": "512x512", "n": 1}


class DrawingRequest(Part):
    """Pictures to make of a text."""

    model_config = ConfigDict(json_schema_extra={"examples": [DRAWING]})

    model: Model
    prompt: str = Field(min_length=1, max_length=32_000)
    n: int | None = Field(None, ge=1, le=10)
    size: str | None = Field(None, pattern=r"^(auto|[1-9]\d{0,3}x[1-9]\d{0,3})$")
    """Width and height in pixels, such as 512x512, multiples of 8. Open: what the model was made for."""
    response_format: Literal["b64_json"] | None = None
    """Only b64_json: the pictures come with the answer, and no address of them is made."""
    user: str | None = None
    negative_prompt: str | None = Field(None, max_length=32_000)
    """What the pictures shall not show. OpenAI has no such field, nor those that follow."""
    steps: int | None = Field(None, ge=1, le=1000)
    """Steps from noise to a picture."""
    guidance: float | None = Field(None, ge=0, le=100)
    """How closely the text is followed."""
    seed: int | None = Field(None, ge=0, lt=2**63)
    """Makes the pictures repeatable."""


class DrawnPicture(Part):
    """One picture."""

    b64_json: str
    """A PNG file as base64."""


class DrawnPictures(Part):
    """Pictures, in the order in which they were made."""

    created: int
    data: list[DrawnPicture]
