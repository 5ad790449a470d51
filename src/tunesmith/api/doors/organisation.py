"""`POST /api/v1/training/start`: an organisation's conversations in, a tuned model out."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ConfigDict, Field

from tunesmith.api.doors.fields import job_of, typed_values
from tunesmith.api.words import ORGANISATION_PREFIX
from tunesmith.service.jobs.organisation_defaults import OrganisationDefaults
from tunesmith.service.jobs.queue import Submission
from tunesmith.spec.ids import ORGANISATION
from tunesmith.spec.recipe import Part

NAMED: Final = rf"^{ORGANISATION.pattern}$"
"""What an organisation may be called."""
PATHS: Final = {
    "base_model": "model.source",
    "num_epochs": "recipe.epochs",
    "validation_split": "evaluation.validation_split",
}
"""Where each field stands in a job; ``org_id`` and ``conversations`` are read by ``submission`` and the service."""
EXAMPLE: Final[dict[str, Any]] = {
    "org_id": "org_123",
    "base_model": "meta-llama/Llama-2-7b-chat-hf",
    "conversations": [
        {
            "messages": [
                {"role": "user", "content": "Hello!"},
                {"role": "assistant", "content": "Hey! How are you?"},
            ],
            "platform": "discord",
        }
    ],
}


class Said(Part):
    """One message. Any further field is kept from training; wasAIGenerated and its like mark what an AI wrote."""

    model_config = ConfigDict(extra="allow")

    role: str = Field(max_length=64)
    """user, assistant or system, under any of their usual names."""
    content: str | None = None


class Conversation(Part):
    """A conversation. A further field such as wasAIGenerated counts for each of its messages."""

    model_config = ConfigDict(extra="allow")

    messages: list[Said]
    platform: str = Field("unknown", max_length=256)
    timestamp: str | float | None = None


class StartRequest(Part):
    """What to learn from, and from which model to start."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    conversations: list[Conversation] = Field(min_length=1)
    org_id: str | None = Field(None, pattern=NAMED)
    """Whose model it will be. Open: the key's organisation, or `default`."""
    base_model: str | None = Field(None, min_length=1, max_length=4096)
    """A hub id, a folder or a short name. Open: DEFAULT_BASE_MODEL."""
    validation_split: float | None = Field(None, ge=0, lt=1)
    """Share of the conversations held out. Open: VALIDATION_SPLIT, and none where that leaves none."""
    num_epochs: float | None = Field(None, gt=0, le=10_000)
    """Passes over the conversations. Open: NUM_TRAIN_EPOCHS."""

    def history(self) -> list[dict[str, Any]]:
        """Return the conversations as plain data."""
        return [conversation.model_dump() for conversation in self.conversations]


def submission(
    request: StartRequest, defaults: OrganisationDefaults, *, id: str, org: str, data: str, keyed: bool
) -> Submission:
    """Turn a request into a job.

    ``data`` is the file that will hold the conversations; ``keyed`` says that results lie in the organisation's folder.
    """
    typed = typed_values(request)
    training = ORGANISATION_PREFIX + id
    output = defaults.output(org, training, inside=keyed)
    suggested = dict(defaults.suggested)
    if _is_set(defaults, "validation_split"):
        suggested["evaluation.validation_split"] = defaults.validation_split
    spec = job_of(
        typed,
        PATHS,
        suggested,
        fixed={
            "name": training,
            "task": "chat",
            "model.source": defaults.default_base_model,
            "datasets": [{"uri": data, "format": "openai"}],
            "output.dir": output,
            "labels": {"org_id": org, "training_id": training},
        },
    )
    asked = {"model": spec.model.source, "dataset": "conversations", "output": output}
    extra = {"asked": asked, "checkpoints_at": defaults.checkpoints(training, inside=keyed)}
    return Submission(spec=spec, door="organisation", org=org, id=id, warnings=defaults.notes, extra=extra)


def _is_set(defaults: OrganisationDefaults, name: str) -> bool:
    """Whether a setting says something else than what a job does anyway."""
    return bool(getattr(defaults, name) != type(defaults).model_fields[name].default)
