"""`/api/v1/training`: trainings of an organisation on its conversations."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Body, Path, Query
from pydantic import Field

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.organisation import NAMED, StartRequest, submission
from tunesmith.api.doors.organisation_view import TrainingList, TrainingStatus, view
from tunesmith.service.idempotency import job_id
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.from_conversations import conversations_file, submit_conversations
from tunesmith.service.jobs.organisation_defaults import read_organisation_defaults
from tunesmith.service.jobs.organisation_models import succeeded_model
from tunesmith.spec.errors import NotYet
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/v1/training", tags=["organisations"])
Organisation = Annotated[str, Path(pattern=NAMED)]


@router.post("/start")
def start(request: StartRequest, service: Serving, by: Asker) -> TrainingStatus:
    """Queue a training on conversations."""
    defaults, id, org = read_organisation_defaults(), job_id(), by.acting_for(request.org_id)
    data = str(conversations_file(service, org, id))
    wanted = submission(request, defaults, id=id, org=org, data=data, keyed=not by.is_operator)
    least = defaults.min_training_samples
    return view(submit_conversations(service, wanted, request.history(), by, least=least))


@router.get("/status/{training_id}")
def status(training_id: str, service: Serving, by: Asker) -> TrainingStatus:
    """Show how a training stands."""
    return view(queue.get(service, training_id, by, with_plan=True))


@router.get("/jobs/{org_id}")
def jobs(
    org_id: Organisation,
    service: Serving,
    by: Asker,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[str | None, Query(max_length=128)] = None,
) -> TrainingList:
    """List the trainings of an organisation, the newest first."""
    last = queue.get(service, before, by).number if before else None
    wanted = queue.Wanted(org=org_id, kinds=("train",), before=last, limit=limit + 1)
    found = queue.listed(service, wanted, by)
    return TrainingList(org_id=org_id, jobs=[view(job) for job in found[:limit]], has_more=len(found) > limit)


@router.delete("/jobs/{training_id}")
def cancel(training_id: str, service: Serving, by: Asker) -> TrainingStatus:
    """Cancel a training that is not over."""
    return view(queue.cancel(service, training_id, by))


class Prompt(Part):
    """Something to ask a model."""

    instruction: str = Field(min_length=1)
    expected_response: str | None = None


EVALUATED: Final = {"org_id": "org_123", "model_id": "latest", "test_prompts": ["Hello!"]}


class EvaluateRequest(Part):
    """Which model to evaluate, on what."""

    org_id: str | None = Field(None, pattern=NAMED)
    """Open: the key's organisation, or `default`."""
    model_id: str = Field("latest", min_length=1, max_length=256)
    """`latest`, or the id of a training."""
    test_prompts: list[Prompt] = Field([])


@router.post("/evaluate", status_code=501, responses={501: {"description": "It is not part of this version."}})
def evaluate(request: Annotated[EvaluateRequest, Body(examples=[EVALUATED])], service: Serving, by: Asker) -> None:
    """Evaluate a model; this version checks the request and says that it cannot."""
    succeeded_model(service, by, request.org_id, request.model_id)
    raise NotYet("Evaluating a finished model (POST /api/v1/training/evaluate)")
