"""`/v1/fine_tuning/jobs/{id}/events` and `/checkpoints`: what a job said, and what it saved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from tunesmith.api.broadcast import Broadcast
from tunesmith.api.deps import Asker, Broadcasting, Serving
from tunesmith.api.doors.openai import After, Limit, Page, page
from tunesmith.api.doors.openai_events import (
    EVENT,
    FineTuningCheckpoint,
    FineTuningEvent,
    checkpoint_view,
    event_view,
)
from tunesmith.api.sse import PING, PING_SECONDS, RETRY, line, streamed
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue, stream
from tunesmith.service.jobs.checkpoints import checkpoints_of
from tunesmith.spec.errors import NotFound

router = APIRouter(prefix="/v1/fine_tuning/jobs/{fine_tuning_job_id}", tags=["openai"])
STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
}


@router.get("/events", response_model=Page[FineTuningEvent], responses=STREAM)
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


@router.get("/checkpoints")
def checkpoints(
    fine_tuning_job_id: str, service: Serving, by: Asker, after: After = None, limit: Limit = 10
) -> Page[FineTuningCheckpoint]:
    """List the checkpoints of a job that are there and whole, the newest first."""
    job = queue.get(service, fine_tuning_job_id, by)
    found = [checkpoint_view(job, each) for each in checkpoints_of(service, job)]
    return page(_following(found, after), limit)


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
