"""`/v1/fine_tuning/jobs`: create, list, follow, pause, resume and cancel jobs, as OpenAI's clients do."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from tunesmith.api.broadcast import Broadcast
from tunesmith.api.deps import Asker, Broadcasting, Serving
from tunesmith.api.doors.openai import Acting, After, Limit, Page, page
from tunesmith.api.doors.openai_events import (
    EVENT,
    FineTuningCheckpoint,
    FineTuningEvent,
    checkpoint_view,
    event_view,
)
from tunesmith.api.doors.openai_jobs import CreateRequest, submission
from tunesmith.api.doors.openai_view import FineTuningJob, view
from tunesmith.api.sse import PING, PING_SECONDS, RETRY, line, streamed
from tunesmith.api.words import OPENAI_PREFIX
from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.service.datasets.tuning_files import usable_file
from tunesmith.service.idempotency import job_id
from tunesmith.service.jobs import queue, stream
from tunesmith.service.jobs.checkpoints import checkpoints_of
from tunesmith.service.jobs.installed import need_task
from tunesmith.service.models.tuned import source_named
from tunesmith.spec.errors import BadValue, NotFound

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["openai"])
FILTER: Final = re.compile(r"metadata\[(.+)\]")
STREAM: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/event-stream": {}}}}


@router.post("")
def create(request: CreateRequest, service: Serving, by: Asker, acting: Acting) -> FineTuningJob:
    """Queue a fine-tuning job."""
    id, org = job_id(), by.acting_for(acting)
    need_task(request.chosen.task, f"The method {request.chosen.type}")
    usable_file(service, by, "training_file", request.training_file)
    if request.validation_file is not None:
        usable_file(service, by, "validation_file", request.validation_file)
    output = organisation_folder(service.settings, org) / "models" / (OPENAI_PREFIX + id)
    source = source_named(service, by, request.model)
    wanted = submission(request, id=id, org=org, source=source, output=str(output))
    return view(queue.submit(service, wanted, by))


@router.get("")
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


@router.get("/{fine_tuning_job_id}/events", response_model=Page[FineTuningEvent], responses=STREAM)
def events(
    fine_tuning_job_id: str,
    service: Serving,
    by: Asker,
    broadcast: Broadcasting,
    after: After = None,
    limit: Limit = 20,
    stream: Annotated[bool, Query(description="Send events as they come, until the job is over.")] = False,
) -> Page[FineTuningEvent] | StreamingResponse:
    """List what a job said, the newest first; or stream it from the beginning."""
    job = queue.get(service, fine_tuning_job_id, by)
    cursor = _cursor(after)
    if stream:
        return streamed(_streamed(service, broadcast, job.id, cursor or 0))
    found = queue.events_before(service, job, cursor, limit + 1)
    return page([event_view(event) for event in found], limit)


@router.get("/{fine_tuning_job_id}/checkpoints")
def checkpoints(
    fine_tuning_job_id: str, service: Serving, by: Asker, after: After = None, limit: Limit = 10
) -> Page[FineTuningCheckpoint]:
    """List the checkpoints of a job that are there and whole, the newest first."""
    job = queue.get(service, fine_tuning_job_id, by)
    found = [checkpoint_view(job, each) for each in checkpoints_of(service, job)]
    return page(_following(found, after), limit)


def _shown(service: Service, by: Principal, job: queue.Job) -> FineTuningJob:
    return view(queue.get(service, job.id, by, with_plan=True))


def _metadata(parameters: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the filter that a query holds."""
    if any(name == "metadata" for name, _ in parameters):
        raise BadValue("metadata", "", "a filter of the form metadata[KEY]=VALUE")
    return {found[1]: value for name, value in parameters if (found := FILTER.fullmatch(name))}


def _cursor(after: str | None) -> int | None:
    if after is None:
        return None
    number = after.removeprefix(EVENT)
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise NotFound("event", after)
    return int(number)


def _following(found: list[FineTuningCheckpoint], after: str | None) -> list[FineTuningCheckpoint]:
    if after is None:
        return found
    place = next((place for place, each in enumerate(found) if each.id == after), None)
    if place is None:
        raise NotFound("checkpoint", after)
    return found[place + 1 :]


async def _streamed(service: Service, broadcast: Broadcast, job: str, after: int) -> AsyncIterator[str]:
    yield RETRY
    async for event in broadcast.events(after, job=job, quiet=PING_SECONDS):
        if event is not None:
            after = event.id
            yield _line(event)
            if event.kind != queue.MADE:
                continue
        else:
            yield PING
        rest = await run_sync(stream.rest, service, job, after)
        if rest is not None:
            for last in rest:
                yield _line(last)
            return


def _line(event: queue.StoredEvent) -> str:
    return line(event.id, "fine_tuning.job.event", event_view(event).model_dump(mode="json"))
