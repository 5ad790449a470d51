"""`POST /api/v1/generate`: a message to an organisation's model, and what it answers."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from tunesmith.api.doors.organisation_view import about, path_of
from tunesmith.api.words import ORGANISATION
from tunesmith.service.jobs.organisation_defaults import OrganisationDefaults
from tunesmith.service.jobs.queue import Job
from tunesmith.spec.recipe import Part

ASKED: Final[dict[str, Any]] = {
    "system_prompt": "You are the voice of a shop.",
    "history": [{"role": "user", "content": "Hi!"}, {"role": "assistant", "content": "Hello! How can I help?"}],
    "message": "What are your opening hours?",
    "temperature": 0.8,
    "max_tokens": 100,
}
INFO: Final[dict[str, Any]] = {
    "org_id": "org_123",
    "model_id": "train_abc123def456",
    "model_path": "models/finetuned/org_123/train_abc123def456",
    "base_model": "meta-llama/Llama-2-7b-chat-hf",
    "metadata": {"base_model": "meta-llama/Llama-2-7b-chat-hf", "validation_loss": 1.21, "perplexity": 3.35},
}
ANSWERED: Final[dict[str, Any]] = {
    "response": "We are open from nine to five.",
    "model_info": INFO,
    "finish_reason": "stop",
    "usage": {"prompt_tokens": 38, "completion_tokens": 9, "total_tokens": 47},
}


class Turn(Part):
    """What was said before."""

    role: Literal["system", "user", "assistant"]
    content: str


class GenerateRequest(Part):
    """What to answer, and how."""

    model_config = ConfigDict(json_schema_extra={"examples": [ASKED]})

    message: str = Field(min_length=1)
    system_prompt: str | None = None
    """Who the model is to be; said before everything else."""
    history: list[Turn] = Field([])
    """What was said before, the oldest first."""
    temperature: float | None = Field(None, ge=0, le=2)
    """0 takes the likeliest word each time. Open: TEMPERATURE."""
    max_tokens: int | None = Field(None, ge=1, le=1_048_576)
    """Open: MAX_NEW_TOKENS."""

    @model_validator(mode="after")
    def _said_once(self) -> GenerateRequest:
        if self.system_prompt is not None and any(turn.role == "system" for turn in self.history):
            raise ValueError("system_prompt, or a turn of the role system in history, and not both")
        return self


class ModelOfOrganisation(Part):
    """The model that answered."""

    model_config = ConfigDict(protected_namespaces=())

    org_id: str
    model_id: str
    """The id of its training."""
    model_path: str
    base_model: str
    metadata: dict[str, Any]
    """What it was made of, and how good it is."""


class Generated(Part):
    """What the model answered."""

    model_config = ConfigDict(json_schema_extra={"examples": [ANSWERED]}, protected_namespaces=())

    response: str
    model_info: ModelOfOrganisation
    finish_reason: str
    """stop, or length where max_tokens ended it."""
    usage: dict[str, Any]
    """Tokens that were read and written."""


def chat_of(request: GenerateRequest, defaults: OrganisationDefaults) -> dict[str, Any]:
    """Turn a request into a chat: the history as turns, by the template that the training used."""
    before = [turn.model_dump() for turn in request.history]
    system = [] if request.system_prompt is None else [{"role": "system", "content": request.system_prompt}]
    drawn = request.temperature if request.temperature is not None else defaults.temperature
    return {
        "messages": [*system, *before, {"role": "user", "content": request.message}],
        "max_tokens": request.max_tokens or defaults.max_new_tokens,
        "temperature": drawn,
        "top_p": defaults.top_p,
        "top_k": defaults.top_k,
    }


def generated(answer: dict[str, Any], job: Job) -> Generated:
    """Render the answer of the model that a training made."""
    choice = answer["choices"][0]
    return Generated(
        response=choice["message"]["content"] or "",
        model_info=model_of(job),
        finish_reason=choice["finish_reason"],
        usage=answer["usage"],
    )


def model_of(job: Job) -> ModelOfOrganisation:
    """Render the model that a training made."""
    known = about(job)
    return ModelOfOrganisation(
        org_id=job.org,
        model_id=ORGANISATION.id(job),
        model_path=path_of(job),
        base_model=known["base_model"],
        metadata=known,
    )
