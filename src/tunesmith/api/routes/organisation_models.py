"""`/api/v1/generate`, `/api/v1/models`, `/api/v1/health`: the models that an organisation's trainings made."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Path, Query
from pydantic import Field

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.organisation import NAMED
from tunesmith.api.doors.organisation_view import ModelInfo, TunedModels, about, path_of, tuned
from tunesmith.service.jobs.organisation_defaults import read_organisation_defaults
from tunesmith.service.jobs.organisation_models import LATEST, succeeded_model, succeeded_models
from tunesmith.service.system.gpus import registered_gpus
from tunesmith.spec.errors import NotYet
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/v1", tags=["organisations"])
NOT_YET: Final[dict[int | str, dict[str, Any]]] = {501: {"description": "It is not part of this version."}}
Organisation = Annotated[str, Path(pattern=NAMED)]
Open = Annotated[str | None, Query(pattern=NAMED)]
ModelId = Annotated[str, Query(min_length=1, max_length=256)]


class Turn(Part):
    """What was said before."""

    role: Literal["system", "user", "assistant"]
    content: str


ASKED: Final = {"message": "What are your opening hours?", "max_tokens": 128}


class GenerateRequest(Part):
    """What to answer, and how."""

    message: str = Field(min_length=1)
    system_prompt: str | None = None
    history: list[Turn] = Field([])
    temperature: float | None = Field(None, ge=0, le=5)
    """Open: TEMPERATURE."""
    max_tokens: int | None = Field(None, ge=1)
    """Open: MAX_NEW_TOKENS."""


class Health(Part):
    """How the service is."""

    status: Literal["healthy"] = "healthy"
    cuda_available: bool
    cuda_device_count: int
    """GPUs of the servers that are there."""
    loaded_models: list[str]
    """Models that answer without being loaded first."""


@router.post("/generate", status_code=501, responses=NOT_YET)
def generate(
    request: Annotated[GenerateRequest, Body(examples=[ASKED])], service: Serving, by: Asker, org_id: Open = None
) -> None:
    """Answer with an organisation's newest model; this version checks the request and says that it cannot."""
    succeeded_model(service, by, org_id, LATEST)
    raise NotYet("Answering over HTTP (POST /api/v1/generate)")


@router.post("/models/load", status_code=501, responses=NOT_YET)
def load(service: Serving, by: Asker, org_id: Open = None, model_id: ModelId = LATEST) -> None:
    """Load a model; this version checks the request and says that it cannot."""
    succeeded_model(service, by, org_id, model_id)
    raise NotYet("Loading a model (POST /api/v1/models/load)")


@router.post("/models/unload", status_code=501, responses=NOT_YET)
def unload(service: Serving, by: Asker, org_id: Open = None) -> None:
    """Unload an organisation's model; this version checks the request and says that it cannot."""
    succeeded_model(service, by, org_id, LATEST)
    raise NotYet("Unloading a model (POST /api/v1/models/unload)")


@router.get("/models/{org_id}/info")
def info(org_id: Organisation, service: Serving, by: Asker) -> ModelInfo:
    """Show the newest model of an organisation; trainings that failed or go on have none."""
    job = succeeded_model(service, by, org_id, LATEST)
    metadata = {**about(job), "generation": read_organisation_defaults().generation}
    return ModelInfo(org_id=org_id, model_path=path_of(job), metadata=metadata, loaded=False)


@router.get("/models/{org_id}/list")
def models(org_id: Organisation, service: Serving, by: Asker) -> TunedModels:
    """List the models of an organisation."""
    found = [tuned(job) for job in succeeded_models(service, by, org_id, limit=1000)]
    return TunedModels(org_id=org_id, models=found, count=len(found))


@router.get("/health")
def health(service: Serving) -> Health:
    """Say how the service is, and how many GPUs its servers have."""
    count = registered_gpus(service)
    return Health(cuda_available=count > 0, cuda_device_count=count, loaded_models=[])
