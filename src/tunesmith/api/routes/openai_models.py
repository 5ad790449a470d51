"""`/v1/models`: the models to start from and those that jobs made, as OpenAI's clients see them."""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import APIRouter
from pydantic import ConfigDict

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.openai import Acting, Deleted
from tunesmith.service.models import catalogue
from tunesmith.service.models.tuned import delete_named, model_named, pulled_names
from tunesmith.service.serving.targets import Target, find_target
from tunesmith.spec.errors import NotFound
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/v1/models", tags=["openai"])
SHARED: Final = "tunesmith"
"""Owner of the models that were pulled."""
MODEL: Final[dict[str, Any]] = {
    "id": "ft:smollm2-135m-instruct:default:support:abc123def456",
    "object": "model",
    "created": 1763725312,
    "owned_by": "default",
    "root": "smollm2-135m-instruct",
    "parent": "smollm2-135m-instruct",
}


class ModelObject(Part):
    """A model."""

    model_config = ConfigDict(json_schema_extra={"examples": [MODEL]})

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    """The organisation that made it."""
    root: str
    """The model that all of its training began with; its own name where it was not trained here."""
    parent: str | None
    """The model that its last training began with."""


class Models(Part):
    """All models that a key may use."""

    object: Literal["list"] = "list"
    data: list[ModelObject]


@router.get("")
def listing(service: Serving, by: Asker, acting: Acting) -> Models:
    """List the models that can be asked: those that were pulled, and those that jobs of the organisation made."""
    pulled = [_pulled(name, created) for name, created in pulled_names(service).items()]
    made = catalogue.list_models(service, by, acting)
    names = {model.id: model.name for model in made}
    return Models(data=[*pulled, *(_view(model, names.get(model.parent or "")) for model in made)])


@router.get("/{model:path}")
def retrieve(model: str, service: Serving, by: Asker) -> ModelObject:
    """Show a model, by any name that it can be asked by; a checkpoint's too."""
    created = pulled_names(service).get(model)
    if created is not None:
        return _pulled(model, created)
    try:
        lineage = catalogue.get_model(service, by, model_named(service, by, model).id)
    except NotFound:
        return _target(find_target(service, by, model))
    return _view(lineage.model, lineage.ancestors[0].name if lineage.ancestors else None)


@router.delete("/{model:path}")
def delete(model: str, service: Serving, by: Asker) -> Deleted:
    """Delete a model that a job made and that no job uses."""
    delete_named(service, by, model)
    return Deleted(id=model, object="model")


def _pulled(name: str, created: float) -> ModelObject:
    return ModelObject(id=name, created=int(created), owned_by=SHARED, root=name, parent=None)


def _view(model: catalogue.Model, parent: str | None) -> ModelObject:
    """Render what a job made; ``parent`` is the model of a job that it continues."""
    created = int(model.created_at)
    return ModelObject(id=model.name, created=created, owned_by=model.org, root=model.base, parent=parent or model.base)


def _target(target: Target) -> ModelObject:
    base = target.base.name
    made = target.adapter is not None or target.checkpoint is not None
    return ModelObject(
        id=target.name,
        created=int((target.checkpoint or target.adapter or target.base).stat().st_mtime),
        owned_by=target.org or SHARED,
        root=base,
        parent=base if made else None,
    )
