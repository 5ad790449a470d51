"""`/api/v1/training`: trainings of an organisation on its conversations."""

from __future__ import annotations

from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Body, Path, Query
from pydantic import BeforeValidator, Field

from tunesmith.api.deps import Asker, Broadcasting, Serving
from tunesmith.api.doors.organisation import NAMED, StartRequest, submission
from tunesmith.api.doors.organisation_answers import TrainingList, TrainingStatus
from tunesmith.api.doors.organisation_view import path_of, view
from tunesmith.api.waiting import until_over
from tunesmith.service.accounts.principal import Role
from tunesmith.service.idempotency import job_id
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.from_conversations import conversations_file, submit_conversations
from tunesmith.service.jobs.organisation_defaults import read_organisation_defaults
from tunesmith.service.jobs.organisation_models import succeeded_model
from tunesmith.service.jobs.work import WorkSubmission, result_of, submit_work
from tunesmith.service.jobs.work_folders import NONE
from tunesmith.spec.evaluation import EvaluationResult
from tunesmith.spec.recipe import Part
from tunesmith.spec.work import Answering, Asked, EvaluateSpec

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


EVALUATED: Final = {
    "org_id": "org_123",
    "model_id": "latest",
    "test_prompts": [{"instruction": "Hello!", "expected_response": "Hello! How can I help?"}],
}


def _spelled_out(value: object) -> object:
    return (
        [{"instruction": each} if isinstance(each, str) else each for each in value]
        if isinstance(value, list)
        else value
    )


class EvaluateRequest(Part):
    """Which model to evaluate, on what."""

    org_id: str | None = Field(None, pattern=NAMED)
    """Open: the key's organisation, or `default`."""
    model_id: str = Field("latest", min_length=1, max_length=256)
    """`latest`, or the id of a training."""
    test_prompts: Annotated[list[Prompt], BeforeValidator(_spelled_out)] = Field([], max_length=1000)
    """Questions, each as a text or with the answer that is expected."""


class Evaluated(Part):
    """What a model was measured to be."""

    model_path: str
    metrics: dict[str, Any]
    """perplexity on the conversations held out, test_responses, total_parameters, trainable_parameters,
    model_size_mb."""


@router.post("/evaluate")
async def evaluate(
    request: Annotated[EvaluateRequest, Body(examples=[EVALUATED])],
    service: Serving,
    by: Asker,
    broadcast: Broadcasting,
) -> Evaluated:
    """Measure a model on what its training held out, have it answer the prompts, and answer when that is done.

    It is a job, which `/api/jobs` lists too: it goes on where the client leaves.
    """

    def submit() -> tuple[queue.Job, queue.Job]:
        by.needs(Role.MEMBER)
        tuned = succeeded_model(service, by, request.org_id, request.model_id)
        longest = read_organisation_defaults().max_new_tokens
        prompts = [Asked(prompt=each.instruction, expected=each.expected_response) for each in request.test_prompts]
        work = EvaluateSpec(
            model=tuned.id, baseline=NONE, prompts=prompts, answered=0, sampling=Answering(max_tokens=longest)
        )
        return tuned, submit_work(service, WorkSubmission(work, door="organisation", org=tuned.org), by)

    tuned, job = await run_sync(submit)
    found = result_of(await until_over(service, broadcast, job, by))
    return Evaluated(model_path=path_of(tuned), metrics=EvaluationResult.model_validate(found["summary"]).documented())
