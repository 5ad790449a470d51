"""Runs: the attempts at a job, what their workers printed, and the states that they saved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from tunesmith.api.deps import Asker, Broadcasting, Serving
from tunesmith.api.sse import PING, RETRY, STREAM, Cursor, line, streamed, ticks
from tunesmith.api.words import OURS
from tunesmith.service.context import Service
from tunesmith.service.jobs import run_files
from tunesmith.service.jobs.queue import StoredRun
from tunesmith.spec.recipe import Part
from tunesmith.spec.states import RunState

router = APIRouter(prefix="/api/runs", tags=["runs"])

LARGEST: Final = 2**53 - 1
"""Largest number that every JSON reader reads as it is."""
Limit = Annotated[int, Query(ge=1, le=1000, description="Entries of a page.")]
NEXT_OFFSET: Final = "X-Next-Offset"
"""Header of a log's page: where the next one begins."""
NEXT_HEADER: Final = {"description": "Where the next page begins, in bytes.", "schema": {"type": "integer"}}


class RunView(Part):
    """A run: one attempt at a job."""

    id: str
    """Name of its folder."""
    job: str
    org: str
    kind: str
    attempt: int
    """Counts the runs of the job, from 1."""
    machine: str
    device: str
    slots: int
    state: RunState
    reason: str | None
    exit: int | None
    step: int | None
    created_at: float
    launched_at: float | None
    heartbeat_at: float | None
    ended_at: float | None
    peak_memory: int | None
    """Bytes."""


class RunPage(Part):
    """Runs, the newest first."""

    runs: list[RunView]
    next: str | None
    """Send it as ``before`` for the page after this one; None: there is none."""


class CheckpointView(Part):
    """A state that a run saved."""

    name: str
    step: int
    bytes: int
    best: bool
    """Whether it is the best one by validation."""
    last: bool


class Checkpoints(Part):
    """The saved states of a run, the oldest first."""

    checkpoints: list[CheckpointView]


def run_view(run: StoredRun) -> RunView:
    """Render a run."""
    facts = {name: getattr(run, name) for name in RunView.model_fields}
    return RunView(**{**facts, "job": OURS.id_form + run.job})


@router.get("")
def listed(
    service: Serving,
    by: Asker,
    org: str | None = None,
    job: str | None = None,
    before: Annotated[str | None, Query(description="``next`` of the page before.")] = None,
    limit: Limit = 100,
) -> RunPage:
    """List runs, the newest first, of one job where it is named."""
    found = run_files.listed(service, by, org=org, job=job, before=before, limit=limit + 1)
    shown = found[:limit]
    return RunPage(runs=[run_view(run) for run in shown], next=shown[-1].id if len(found) > limit else None)


@router.get("/{run_id}")
def get(run_id: str, service: Serving, by: Asker) -> RunView:
    """Return a run."""
    return run_view(run_files.get(service, run_id, by))


@router.get("/{run_id}/checkpoints")
def checkpoints(run_id: str, service: Serving, by: Asker) -> Checkpoints:
    """List the states that a run saved."""
    found = run_files.saved(service, run_files.get(service, run_id, by))
    return Checkpoints(checkpoints=[CheckpointView(**vars(saved)) for saved in found])


@router.get(
    "/{run_id}/logs",
    response_class=PlainTextResponse,
    responses={
        200: {"headers": {NEXT_OFFSET: {"description": "Where the next page begins.", "schema": {"type": "integer"}}}}
    },
)
def logs(
    run_id: str,
    service: Serving,
    by: Asker,
    offset: Annotated[int, Query(ge=0, le=LARGEST, description="Bytes of the log that are known.")] = 0,
    tail: Annotated[int | None, Query(ge=1, le=10_000, description="Only so many last lines.")] = None,
) -> Response:
    """Return what the run's worker printed: a page of whole lines, without the colours of a terminal."""
    run = run_files.get(service, run_id, by)
    page = run_files.last_lines(service, run, tail) if tail else run_files.log_page(service, run, offset)
    return PlainTextResponse(page.text, headers={NEXT_OFFSET: str(page.end)})


@router.get("/{run_id}/logs/stream", response_class=StreamingResponse, responses=STREAM)
def follow_logs(run_id: str, service: Serving, by: Asker, broadcast: Broadcasting, cursor: Cursor) -> Response:
    """Stream what the run's worker prints, line by line, until it is over; an event's id is the offset behind it."""
    run = run_files.get(service, run_id, by)
    run_files.log_page(service, run, 0)
    return streamed(_log_lines(service, run, broadcast, cursor or 0))


async def _log_lines(service: Service, run: StoredRun, broadcast: Broadcasting, offset: int) -> AsyncIterator[str]:
    from anyio.to_thread import run_sync

    yield RETRY
    async for is_quiet in ticks(broadcast.closing, service.settings.poll_seconds):
        # Life first: whatever was printed before the run was seen over is read after.
        is_over = await run_sync(run_files.is_over, service, run.id)
        while (page := await run_sync(run_files.log_page, service, run, offset)).text:
            offset = page.end
            yield line(offset, "log", page.text)
        if is_over:
            yield line(offset, "end", None)
            return
        if is_quiet:
            yield PING
