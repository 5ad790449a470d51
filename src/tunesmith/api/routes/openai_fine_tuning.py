"""`/v1/fine_tuning/jobs`: create, list, follow, pause, resume and cancel jobs, as OpenAI's clients do."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.openai import Acting, After, Limit, Page, page
from tunesmith.api.doors.openai_jobs import CreateRequest, submission
from tunesmith.api.doors.openai_view import FineTuningJob, view
from tunesmith.api.query_names import FILTER, FILTERS
from tunesmith.api.words import OPENAI_PREFIX
from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.service.datasets.tuning_files import usable_file
from tunesmith.service.idempotency import job_id
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.installed import need_task
from tunesmith.service.models.tuned import source_named
from tunesmith.spec.errors import BadValue

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["openai"])


@router.post("")
def create(request: CreateRequest, service: Serving, by: Asker, acting: Acting) -> FineTuningJob:
    """Queue a fine-tuning job."""
    id, org = job_id(), by.acting_for(acting)
    task = need_task(request.chosen.task, f"The method {request.chosen.type}")
    usable_file(service, by, "training_file", request.training_file)
    if request.validation_file is not None:
        usable_file(service, by, "validation_file", request.validation_file)
    output = organisation_folder(service.settings, org) / "models" / (OPENAI_PREFIX + id)
    source = source_named(service, by, request.model)
    wanted = submission(request, task=task, id=id, org=org, source=source, output=str(output))
    return view(queue.submit(service, wanted, by))


@router.get("", openapi_extra={FILTERS: ["metadata"]})
def listing(
    request: Request, service: Serving, by: Asker, acting: Acting, after: After = None, limit: Limit = 20
) -> Page[FineTuningJob]:
    """List jobs, the newest first; `metadata[KEY]=VALUE` lists those that were given this."""
    last = queue.get(service, after, by).number if after else None
    wanted = queue.Wanted(
        org=acting, kinds=("train",), before=last, limit=limit + 1, extra=_metadata(request.query_params.multi_items())
    )
    found = queue.listed(service, wanted, by)
    return page([view(queue.get(service, job.id, by, with_plan=True)) for job in found], limit)


@router.get("/{fine_tuning_job_id}")
def retrieve(fine_tuning_job_id: str, service: Serving, by: Asker) -> FineTuningJob:
    """Show a job."""
    return view(queue.get(service, fine_tuning_job_id, by, with_plan=True))


@router.post("/{fine_tuning_job_id}/cancel")
def cancel(fine_tuning_job_id: str, service: Serving, by: Asker) -> FineTuningJob:
    """Cancel a job that is not over."""
    return _shown(service, by, queue.cancel(service, fine_tuning_job_id, by))


@router.post("/{fine_tuning_job_id}/pause")
def pause(fine_tuning_job_id: str, service: Serving, by: Asker) -> FineTuningJob:
    """Have a job save its state and stop."""
    return _shown(service, by, queue.pause(service, fine_tuning_job_id, by))


@router.post("/{fine_tuning_job_id}/resume")
def resume(fine_tuning_job_id: str, service: Serving, by: Asker) -> FineTuningJob:
    """Queue a paused or failed job again."""
    return _shown(service, by, queue.resume(service, fine_tuning_job_id, by))


def _shown(service: Service, by: Principal, job: queue.Job) -> FineTuningJob:
    return view(queue.get(service, job.id, by, with_plan=True))


def _metadata(parameters: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the filter that a query holds."""
    if any(name == "metadata" for name, _ in parameters):
        raise BadValue("metadata", "", "a filter of the form metadata[KEY]=VALUE")
    return {found[2]: value for name, value in parameters if (found := FILTER.fullmatch(name))}
