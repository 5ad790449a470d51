"""Models that jobs made, with what each was made of; and, for the operator, those that were pulled."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from tunesmith.api.deps import Asker, Serving
from tunesmith.service.models import catalogue
from tunesmith.spec.ids import FORMS, job_id_of
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/models", tags=["models"])


class ModelView(Part):
    """A model."""

    id: str
    org: str
    name: str
    kind: str
    """adapter or full."""
    path: str
    source: str
    """What a job that goes on with it calls it."""
    job: str | None
    run: str | None
    base: str
    """The model that it was trained from."""
    base_fingerprint: str | None
    parent: str | None
    """The model that it continues."""
    metrics: dict[str, Any]
    bytes: int
    created_at: float


class ModelDetails(ModelView):
    """A model with its lineage."""

    recipe: dict[str, Any]
    data: dict[str, Any]
    """sets, rows, and the fingerprint of data, template and base weights."""
    versions: dict[str, str]
    """Of the libraries that made it."""
    ancestors: list[ModelView]
    """The models that it continues, the nearest first."""
    children: list[ModelView]
    """The models that continue it."""


class PulledView(Part):
    """A model that was pulled to this machine."""

    name: str
    path: str


class Models(Part):
    """Models, the newest first."""

    models: list[ModelView]
    pulled: list[PulledView]
    """Models on this machine that were pulled; only the operator sees them."""


def _facts(model: catalogue.Model) -> dict[str, Any]:
    names = [name for name in ModelView.model_fields if name not in ("source", "job")]
    job = FORMS[0] + model.job if model.job else None
    return {name: getattr(model, name) for name in names} | {"source": f"model:{model.id}", "job": job}


@router.get("")
def listed(
    service: Serving,
    by: Asker,
    org: Annotated[str | None, Query(description="Organisation. Open: the key's own.")] = None,
    job: Annotated[str | None, Query(description="Only what this job made.")] = None,
) -> Models:
    """List models."""
    found = catalogue.list_models(service, by, org, (job_id_of(job) or job) if job else None)
    pulled = catalogue.pulled_models(service, by)
    return Models(
        models=[ModelView(**_facts(model)) for model in found],
        pulled=[PulledView(name=each.name, path=each.path) for each in pulled],
    )


@router.get("/{model_id}")
def get(model_id: str, service: Serving, by: Asker) -> ModelDetails:
    """Return a model, by its id or its name, with what it was made of and what continues it."""
    found = catalogue.get_model(service, by, model_id)
    return ModelDetails(
        **_facts(found.model),
        recipe=found.model.recipe,
        data=found.model.data,
        versions=found.model.versions,
        ancestors=[ModelView(**_facts(model)) for model in found.ancestors],
        children=[ModelView(**_facts(model)) for model in found.children],
    )


@router.delete("/{model_id}")
def delete(model_id: str, service: Serving, by: Asker) -> ModelView:
    """Forget a model and remove its files; refused while a job uses it."""
    return ModelView(**_facts(catalogue.delete_model(service, by, model_id)))
