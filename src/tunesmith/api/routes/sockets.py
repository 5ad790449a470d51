"""`WS /ws/training` tells of every task, or of those that are subscribed to; `/ws/training/{task_id}` of one."""

from __future__ import annotations

from typing import Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, WebSocket

from tunesmith.api.deps import Asker, Broadcasting, Serving
from tunesmith.api.doors.connection import Connection
from tunesmith.api.doors.messages import said
from tunesmith.api.middleware.access import PROTOCOL
from tunesmith.api.words import TASKS
from tunesmith.service.jobs import queue
from tunesmith.spec.errors import TunesmithError

router = APIRouter()

NO_SUCH_TASK: Final = 4404
"""Close code of a socket for a task that is not there."""


@router.websocket("/ws/training")
async def training(socket: WebSocket, service: Serving, by: Asker, broadcast: Broadcasting) -> None:
    """Tell of all tasks that the key may see, until the client subscribes to some."""
    await socket.accept(subprotocol=_spoken(socket))
    await Connection(socket, service, by, broadcast).hold(said("connected"))


@router.websocket("/ws/training/{task_id}")
async def task(socket: WebSocket, task_id: str, service: Serving, by: Asker, broadcast: Broadcasting) -> None:
    """Tell of one task."""
    await socket.accept(subprotocol=_spoken(socket))
    try:
        job = await run_sync(queue.get, service, task_id, by)
    except TunesmithError as error:
        await socket.send_json(said("error", task_id=task_id[:80], error=error.message))
        await socket.close(NO_SUCH_TASK)
        return
    connected = said("connected", task_id=TASKS.id(job), status=TASKS.state(job))
    await Connection(socket, service, by, broadcast, is_of_one=True).hold(connected, job)


def _spoken(socket: WebSocket) -> str | None:
    """Return the protocol to agree on; one that carries a key is none."""
    offered: list[str] = socket.scope.get("subprotocols", [])
    return next((word for word in offered if not word.startswith(PROTOCOL)), None)
