"""One socket that is open: it tells of tasks as they go, and hears what its client says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from anyio import create_task_group
from anyio.to_thread import run_sync
from fastapi import WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from tunesmith.api.broadcast import Broadcast
from tunesmith.api.doors.messages import STATE_CHANGE, Message, Story, ending, heard, said, status, written
from tunesmith.api.words import TASKS
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue, stream
from tunesmith.service.jobs.queue import StoredEvent
from tunesmith.spec.errors import TunesmithError
from tunesmith.spec.states import RunState

HEARTBEAT_SECONDS: Final = 30.0
"""How often a socket shows that it lives."""
SERVER_STOPS: Final = 1001


class Connection:
    """What the client says, what the tasks say, and a sign of life, side by side."""

    def __init__(
        self, socket: WebSocket, service: Service, by: Principal, broadcast: Broadcast, *, is_of_one: bool = False
    ) -> None:
        self.socket, self.service, self.by, self.broadcast = socket, service, by, broadcast
        self.is_of_one = is_of_one
        """Whether it tells only of what is subscribed to, with a word of its own for the end of a task."""
        self.stories: dict[str, Story] = {}
        self.subscribed: set[str] = set()
        self.sending = asyncio.Lock()

    async def hold(self, connected: Message, job: queue.Job | None = None) -> None:
        """Talk until the client goes or the server stops."""
        cursor = await run_sync(stream.newest, self.service)
        async with create_task_group() as parts:
            end = parts.cancel_scope.cancel
            parts.start_soon(self._while_connected, self._tell_all(cursor, connected, job), end)
            parts.start_soon(self._while_connected, self._listen(), end)
            parts.start_soon(self._while_connected, self._beat(), end)
        if self._is_connected:
            await self.socket.close(SERVER_STOPS)

    async def _while_connected(self, part: Coroutine[Any, Any, None], end: Callable[[], None]) -> None:
        """Do one of the parts; with the first that ends all do."""
        try:
            await part
        except WebSocketDisconnect:
            pass
        except RuntimeError:  # So starlette calls it when somebody sends to a client that has gone.
            if self._is_connected:
                raise
        end()

    @property
    def _is_connected(self) -> bool:
        return WebSocketState.DISCONNECTED not in (self.socket.client_state, self.socket.application_state)

    async def _listen(self) -> None:
        while (message := await self.socket.receive())["type"] == "websocket.receive":
            await self._hear(message.get("text") or message.get("bytes") or "")

    async def _hear(self, text: str | bytes) -> None:
        """Answer what the client says."""
        words = heard(text)
        type = words.get("type")
        if type == "ping":
            await self._send(said("pong"))
        elif type == "subscribe" and isinstance(words.get("task_id"), str):
            try:
                job = await run_sync(queue.get, self.service, words["task_id"], self.by)
            except TunesmithError as error:
                await self._send(said("error", task_id=words["task_id"][:80], error=error.message))
                return
            await self._send(said("subscribed", task_id=TASKS.id(job)))
            await self._subscribe(job.id)
        else:
            await self._send(said("error", error='Say {"type": "ping"} or {"type": "subscribe", "task_id": "..."}.'))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            await self._send(said("heartbeat"))

    async def _tell_all(self, cursor: int, connected: Message, job: queue.Job | None) -> None:
        """Say what is so, and then hand on what the tasks say from now on."""
        await self._send(connected)
        if job is not None:
            await self._subscribe(job.id)
        async for event in self.broadcast.events(cursor, org=self.by.org, quiet=HEARTBEAT_SECONDS):
            if event is not None and (event.job in self.subscribed or not (self.subscribed or self.is_of_one)):
                await self._tell(event)

    async def _tell(self, event: StoredEvent) -> None:
        story = self.stories.get(event.job) or await self._begin(event.job)
        if story is None:
            return
        if story.heard(event):
            await self._send(story.told())
        elif event.kind == STATE_CHANGE and event.body.get("state"):
            await self._tell_state(event)

    async def _tell_state(self, event: StoredEvent) -> None:
        if not self.is_of_one:
            await self._send(status(event.job, event.body["state"], event.body.get("reason")))
        job = await self._job(event.job)
        last = ending(job) if job is not None else None
        if job is None or last is None:
            return
        if self.is_of_one or job.state is RunState.FAILED:
            await self._send(last)
        self.stories.pop(event.job, None)

    async def _subscribe(self, id: str) -> None:
        """Begin with where a task stands."""
        self.subscribed.add(id)
        job = await self._job(id)
        if job is None:
            return
        self.stories[id] = Story.of(job)
        await self._send(self.stories[id].told())
        last = ending(job)
        if last is not None:
            await self._send(last if self.is_of_one else status(TASKS.id(job), job.state, job.reason))

    async def _begin(self, id: str) -> Story | None:
        job = await self._job(id)
        if job is None or job.kind != "train":
            return None
        self.stories[id] = Story.of(job)
        return self.stories[id]

    async def _job(self, id: str) -> queue.Job | None:
        try:
            return await run_sync(queue.get, self.service, id, self.by)
        except TunesmithError:
            return None

    async def _send(self, message: Message) -> None:
        async with self.sending:
            await self.socket.send_text(written(message))
