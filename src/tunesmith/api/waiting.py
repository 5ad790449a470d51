"""An answer that waits for a job: while it runs the client waits, and a client that leaves does not stop it."""

from __future__ import annotations

from typing import Final

from anyio.to_thread import run_sync

from tunesmith.api.broadcast import Broadcast
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue, stream
from tunesmith.service.jobs.queue import ALL_KINDS, Job
from tunesmith.spec.errors import Conflict
from tunesmith.spec.states import JOB_OVER, RunState

QUIET: Final = 5.0
"""Seconds without word of a job after which it is looked at all the same."""


async def until_over(service: Service, broadcast: Broadcast, job: Job, by: Principal) -> Job:
    """Return a job as soon as nothing more happens to it by itself.

    Raises:
        NotFound: somebody deleted it.
        Conflict: the server stops; the job goes on with the next one.
    """

    def look() -> Job:
        return queue.get(service, job.id, by, kinds=ALL_KINDS)

    # What is said from here on is heard; how it stood by then is looked at first.
    cursor = await run_sync(stream.newest, service)
    found = await run_sync(look)
    if _is_settled(found):
        return found
    async for event in broadcast.events(cursor, job=job.id, quiet=QUIET):
        if event is not None and event.kind != queue.MADE:
            continue
        found = await run_sync(look)
        if _is_settled(found):
            return found
    raise Conflict(f"The server stops; job {job.id} goes on when it is back.", "Ask again.")


def _is_settled(job: Job) -> bool:
    return job.state in JOB_OVER or job.state is RunState.PAUSED
