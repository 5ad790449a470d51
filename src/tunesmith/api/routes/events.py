"""Events as they come, of one job or of all: each once and in order, also for a client that was cut off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Response, status
from fastapi.responses import StreamingResponse

from tunesmith.api.broadcast import Broadcast
from tunesmith.api.deps import Asker, Broadcasting, Serving
from tunesmith.api.routes.jobs import event_view
from tunesmith.api.sse import PING, PING_SECONDS, RETRY, STREAM, Cursor, line, streamed
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue, stream
from tunesmith.service.jobs.queue import MADE, StoredEvent
from tunesmith.spec.states import JOB_OVER

router = APIRouter(tags=["events"])

LAST_WORDS: Final = frozenset(map(str, JOB_OVER))


@router.get(
    "/api/jobs/{job_id}/stream",
    response_class=StreamingResponse,
    responses={**STREAM, 204: {"description": "The job is over, and the client knows all of it."}},
)
def of_job(job_id: str, service: Serving, by: Asker, broadcast: Broadcasting, cursor: Cursor) -> Response:
    """Stream what a job and its runs say, from the beginning or after Last-Event-ID, until the job is over."""
    job = queue.get(service, job_id, by, kinds=queue.ALL_KINDS)
    if cursor and job.state in JOB_OVER and not queue.events_of(service, job, cursor, 1):
        # A browser that is told so does not come back; after the end of a stream it would.
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    return streamed(_of_job(service, broadcast, job.id, cursor or 0))


@router.get("/api/events", response_class=StreamingResponse, responses=STREAM)
def of_all(
    service: Serving, by: Asker, broadcast: Broadcasting, cursor: Cursor, org: str | None = None
) -> StreamingResponse:
    """Stream what all jobs and runs say, from now on or after Last-Event-ID."""
    org = by.acting_for(org) if org or by.org else None
    after = cursor if cursor is not None else stream.newest(service)
    return streamed(_of_all(broadcast, org, after))


async def _of_all(broadcast: Broadcast, org: str | None, after: int) -> AsyncIterator[str]:
    yield RETRY
    async for event in broadcast.events(after, org=org, quiet=PING_SECONDS):
        yield PING if event is None else _line(event)


async def _of_job(service: Service, broadcast: Broadcast, job: str, after: int) -> AsyncIterator[str]:
    yield RETRY
    async for event in broadcast.events(after, job=job, quiet=PING_SECONDS):
        if event is not None:
            after = event.id
            yield _line(event)
            if not (event.kind == MADE and event.body.get("state") in LAST_WORDS):
                continue
        else:
            yield PING
        # The job may be over: a failed one that was resumed is not, although it said so once.
        rest = await run_sync(stream.rest, service, job, after)
        if rest is not None:
            for last in rest:
                yield _line(last)
            return


def _line(event: StoredEvent) -> str:
    return line(event.id, event.kind, event_view(event).model_dump(mode="json"))
