"""What is shown to models and what they answer: `/api/predict`, and OpenAI's transcriptions."""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import UploadFile
from pydantic import ConfigDict, Field

from tunesmith.api.doors.openai_asking import Model
from tunesmith.spec.recipe import Part

MOST_CODED: Final = 34_000_000
"""Characters of base64 that the largest content takes."""
EXAMPLE: Final[dict[str, Any]] = {"model": "shapes", "path": "/data/picture.png", "top_k": 3}


class Options(Part):
    """What a model is told beside what it is shown; each kind of model reads some, and refuses the others by name."""

    text: str | None = Field(None, max_length=100_000)
    """The question, for a model that answers about pictures."""
    labels: list[str] | None = Field(None, min_length=1, max_length=1000)
    """Texts to compare the picture with, for a model that does that."""
    top_k: int | None = Field(None, ge=1, le=1000)
    """Classes named, the likeliest first. Open: 5."""
    threshold: float | None = Field(None, ge=0, le=1)
    """Smallest chance of a thing that is found in a picture."""
    language: str | None = Field(None, min_length=1, max_length=40)
    """What is spoken, such as en. Open: what the model was tuned with, else en."""
    temperature: float | None = Field(None, ge=0, le=2)
    """0 takes the likeliest each time."""
    max_tokens: int | None = Field(None, ge=1, le=1_048_576)
    """Longest answer in words' pieces."""
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    """Makes a drawn answer repeatable."""


class PredictRequest(Options):
    """Something to look at or to listen to."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    model: Model
    """A name of /v1/models, ORGANISATION/NAME, or the id of a model or a job."""
    content: str | None = Field(None, min_length=1, max_length=MOST_CODED)
    """The picture or recording, as base64."""
    path: str | None = Field(None, min_length=1, max_length=4096)
    """Instead, where it lies on the server, within what the key's organisation may read."""
    org: str | None = None
    """Open: the key's own organisation."""


class PredictForm(Options):
    """The same as a form, with the file itself."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    model: Model
    file: UploadFile
    org: str | None = None


class Scored(Part):
    """A class, and its chance."""

    label: str
    score: float


class Found(Scored):
    """A thing in a picture."""

    box: list[float]
    """Left, top, width and height in pixels."""


class Prediction(Part):
    """What a model says of what it was shown; which of these depends on its kind."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [
        {"model": "shapes", "labels": [{"label": "circle", "score": 0.98}, {"label": "cross", "score": 0.01}]}
    ]})  # fmt: skip

    model: str
    labels: list[Scored] | None = None
    """Classes, the likeliest first."""
    boxes: list[Found] | None = None
    """Things that were found, the surest first."""
    text: str | None = None
    """What is said in a recording, or the answer about a picture."""


class TranscriptionForm(Part):
    """A recording to write down, as OpenAI's clients send it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    file: UploadFile
    model: Model
    language: str | None = Field(None, min_length=1, max_length=40)
    """What is spoken, such as en. Open: what the model was tuned with, else en."""
    response_format: Literal["json", "text", "verbose_json", "srt", "vtt"] = "json"
    temperature: float | None = Field(None, ge=0, le=0)
    """Only 0: the likeliest is written each time."""
    prompt: str | None = Field(None, max_length=0)
    """Only empty: the models are told nothing before they listen."""
    stream: Literal["false", "False"] | None = None
    """Only false: the text comes whole."""
    user: str | None = None


class Transcription(Part):
    """What is said in a recording; with `verbose_json` also how long it is, and when what is said."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{"text": "Please hold the line."}]})

    text: str
