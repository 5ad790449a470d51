"""`/api/v1/generate`, `/api/v1/models`, `/api/v1/health`: the models that an organisation's trainings made."""

from __future__ import annotations

from typing import Annotated, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Query, Request
from pydantic import ConfigDict

from tunesmith.api import answering
from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.organisation import NAMED
from tunesmith.api.doors.organisation_answers import ModelInfo, TunedModels
from tunesmith.api.doors.organisation_asking import (
    Generated,
    GenerateRequest,
    ModelOfOrganisation,
    chat_of,
    generated,
    model_of,
)
from tunesmith.api.doors.organisation_view import about, path_of, tuned
from tunesmith.service.accounts import keys
from tunesmith.service.accounts.principal import OPERATOR, Role
from tunesmith.service.jobs.organisation_defaults import read_organisation_defaults
from tunesmith.service.jobs.organisation_models import LATEST, answering_model, choose_model, succeeded_models
from tunesmith.service.serving.loaded import is_loaded, loaded_names
from tunesmith.service.serving.pool import CHAT
from tunesmith.service.serving.targets import find_target
from tunesmith.service.system.gpus import registered_gpus
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/v1", tags=["organisations"])
Organisation = Annotated[str, Path(pattern=NAMED)]
Open = Annotated[str | None, Query(pattern=NAMED)]
ModelId = Annotated[str, Query(min_length=1, max_length=256)]


class LoadedModel(ModelOfOrganisation):
    """A model that is loaded, and answers for its organisation from now on."""

    model_config = ConfigDict(protected_namespaces=())

    status: Literal["loaded"] = "loaded"


class Unloaded(Part):
    """What is not in memory any more."""

    status: Literal["unloaded"] = "unloaded"
    org_id: str
    unloaded: int
    """Models that were in memory, and are not."""


class Health(Part):
    """How the service is."""

    status: Literal["healthy"] = "healthy"
    cuda_available: bool
    cuda_device_count: int
    """GPUs of the servers that are there."""
    loaded_models: list[str]
    """Models that answer without being loaded first; where keys are in force, those that belong to everybody."""


@router.post("/generate")
async def generate(
    asked: GenerateRequest, request: Request, service: Serving, by: Asker, org_id: Open = None
) -> Generated:
    """Answer with an organisation's model: the one that was loaded, or else the newest, which is loaded now."""
    defaults = read_organisation_defaults()
    job = await run_sync(answering_model, service, by, org_id)
    target = await run_sync(lambda: find_target(service, by, job.id, org=job.org))
    answer = await answering.whole(request, service.serving.ask(target, CHAT, chat_of(asked, defaults)))
    return generated(answer, job)


@router.post("/models/load")
async def load(
    request: Request, service: Serving, by: Asker, org_id: Open = None, model_id: ModelId = LATEST
) -> LoadedModel:
    """Load a model of an organisation, by the id of its training, and have it answer from now on."""
    by.needs(Role.MEMBER)
    chosen = await run_sync(choose_model, service, by, org_id, model_id)
    target = await run_sync(lambda: find_target(service, by, chosen.id, org=chosen.org))
    await answering.whole(request, service.serving.load_async(target))
    return LoadedModel(**model_of(chosen).model_dump())


@router.post("/models/unload")
def unload(service: Serving, by: Asker, org_id: Open = None) -> Unloaded:
    """Unload an organisation's models; the next question loads its newest."""
    by.needs(Role.MEMBER)
    job = choose_model(service, by, org_id, LATEST)
    return Unloaded(org_id=job.org, unloaded=service.serving.clear(job.org))


@router.get("/models/{org_id}/info")
def info(org_id: Organisation, service: Serving, by: Asker) -> ModelInfo:
    """Show the model that answers for an organisation; trainings that failed or go on have none."""
    job = answering_model(service, by, org_id)
    metadata = {**about(job), "generation": read_organisation_defaults().generation}
    return ModelInfo(org_id=org_id, model_path=path_of(job), metadata=metadata, loaded=is_loaded(service, job))


@router.get("/models/{org_id}/list")
def models(org_id: Organisation, service: Serving, by: Asker) -> TunedModels:
    """List the models of an organisation."""
    found = [tuned(job) for job in succeeded_models(service, by, org_id, limit=1000)]
    return TunedModels(org_id=org_id, models=found, count=len(found))


@router.get("/health")
def health(service: Serving) -> Health:
    """Say how the service is, how many GPUs its servers have and what is loaded."""
    count = registered_gpus(service)
    names = loaded_names(service, None if keys.in_force(service) else OPERATOR)
    return Health(cuda_available=count > 0, cuda_device_count=count, loaded_models=names)
