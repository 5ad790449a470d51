"""`/v1/models`: the models to start from and those that jobs made, as OpenAI's clients see them."""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import APIRouter
from pydantic import ConfigDict

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.openai import Acting, Deleted
from tunesmith.service.models import catalogue
from tunesmith.service.models.tuned import delete_named, model_named, pulled_names
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/v1/models", tags=["openai"])
SHARED: Final = "tunesmith"
"""Owner of the models that were pulled."""
MODEL: Final[dict[str, Any]] = {
    "id": "ft:smollm2-135m-instruct:default:support:abc123def456",
    "object": "model",
    "created": 1763725312,
    "owned_by": "default",
}


class ModelObject(Part):
    """A model."""

    model_config = ConfigDict(json_schema_extra={"examples": [MODEL]})

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    """The organisation that made it."""


class Models(Part):
    """All models that a key may use."""

    object: Literal["list"] = "list"
    data: list[ModelObject]


@router.get("")
def listing(service: Serving, by: Asker, acting: Acting) -> Models:
    """List the models: those that were pulled, and those that jobs of the organisation made."""
    pulled = [_pulled(name, created) for name, created in pulled_names(service).items()]
    return Models(data=[*pulled, *map(_view, catalogue.list_models(service, by, acting))])


@router.get("/{model:path}")
def retrieve(model: str, service: Serving, by: Asker) -> ModelObject:
    """Show a model."""
    created = pulled_names(service).get(model)
    return _view(model_named(service, by, model)) if created is None else _pulled(model, created)


@router.delete("/{model:path}")
def delete(model: str, service: Serving, by: Asker) -> Deleted:
    """Delete a model that a job made and that no job uses."""
    delete_named(service, by, model)
    return Deleted(id=model, object="model")


def _pulled(name: str, created: float) -> ModelObject:
    return ModelObject(id=name, created=int(created), owned_by=SHARED)


def _view(model: catalogue.Model) -> ModelObject:
    return ModelObject(id=model.name, created=int(model.created_at), owned_by=model.org)
