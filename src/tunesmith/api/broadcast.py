"""Events as they come, for any number of listeners at the price of one query a tick.

A listener first reads what is stored up to where the broadcast stands, then what the broadcast hands it. Ids of events
become visible in their order, so nothing is missed between the two and nothing comes twice. A listener that is too slow
loses its queue, not its events: it reads on from the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from anyio.to_thread import run_sync

from tunesmith.service.context import Service
from tunesmith.service.jobs import stream
from tunesmith.service.jobs.queue import StoredEvent

log = logging.getLogger("tunesmith.api")
QUEUED: Final = 2_000
"""Events that wait for a slow listener before it is sent back to the store."""
PAGE: Final = 500
"""Events read at once."""


@dataclass(eq=False)
class Listener:
    """Somebody who wants the events of an organisation, of a job, or all."""

    org: str | None
    job: str | None
    waiting: asyncio.Queue[StoredEvent] = field(default_factory=lambda: asyncio.Queue(QUEUED))
    is_behind: bool = False
    """Whether it missed events because its queue was full."""

    def wants(self, event: StoredEvent) -> bool:
        """Whether an event is for them."""
        return (self.job is None or event.job == self.job) and (self.org is None or event.org == self.org)


class Broadcast:
    """Reads new events once and hands them to all who listen. Lives on one event loop."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.listeners: set[Listener] = set()
        self.closing = asyncio.Event()
        self.stands_at: int | None = None
        """Id of the last event that was handed out; None while nobody listens."""
        self._reading: asyncio.Task[None] | None = None
        self._joining = asyncio.Lock()

    async def events(
        self, after: int, *, org: str | None = None, job: str | None = None, quiet: float
    ) -> AsyncIterator[StoredEvent | None]:
        """Yield the events after an id as they come, until the broadcast closes; None after ``quiet`` silent seconds.

        Also yields None once when everything that was stored is read.
        """
        listener = Listener(org, job)
        try:
            while not self.closing.is_set():
                async for event in self._stored(listener, after):
                    after = event.id
                    yield event
                yield None
                async for waited in self._live(listener, quiet):
                    if waited is not None and waited.id > after:
                        after = waited.id
                        yield waited
                    elif waited is None:
                        yield None
        finally:
            self.listeners.discard(listener)

    async def close(self) -> None:
        """End all streams."""
        self.closing.set()
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading

    async def _stored(self, listener: Listener, after: int) -> AsyncIterator[StoredEvent]:
        """Have a listener handed what comes from now on, and yield what is stored until now."""
        listener.waiting, listener.is_behind = asyncio.Queue(QUEUED), False
        until = await self._join(listener)
        while after < until:
            page = await run_sync(lambda: stream.after(self.service, after, listener.org, listener.job, PAGE))  # noqa: B023
            for event in page:
                yield event
            if len(page) < PAGE:
                return
            after = page[-1].id

    async def _join(self, listener: Listener) -> int:
        async with self._joining:
            if self._reading is None or self._reading.done() or self.stands_at is None:
                self.stands_at = await run_sync(stream.newest, self.service)
                self.listeners.add(listener)
                self._reading = asyncio.create_task(self._read())
            self.listeners.add(listener)
            return self.stands_at

    async def _live(self, listener: Listener, quiet: float) -> AsyncIterator[StoredEvent | None]:
        """Yield what the broadcast hands over until the listener has fallen behind or all is over."""
        while not self.closing.is_set() and not (listener.is_behind and listener.waiting.empty()):
            closing = asyncio.ensure_future(self.closing.wait())
            getting = asyncio.ensure_future(listener.waiting.get())
            try:
                done, _ = await asyncio.wait({closing, getting}, timeout=quiet, return_when=asyncio.FIRST_COMPLETED)
            finally:  # Also where the listener is gone: what waits for nobody would be complained of.
                closing.cancel()
                getting.cancel()
            if getting in done:
                yield getting.result()
            elif closing not in done:
                yield None

    async def _read(self) -> None:
        """Look for new events while anybody listens."""
        while self.listeners:
            try:
                page = await run_sync(stream.after, self.service, self.stands_at or 0, None, None, PAGE)
            except Exception as error:  # noqa: BLE001 - a database that is away for a while ends no stream.
                log.warning("events cannot be read at the moment: %s", error)
                page = []
            for event in page:
                self._hand_out(event)
            if len(page) < PAGE:
                await asyncio.sleep(self.service.settings.poll_seconds)
        self.stands_at = None

    def _hand_out(self, event: StoredEvent) -> None:
        self.stands_at = event.id
        for listener in self.listeners:
            if listener.wants(event) and not listener.is_behind:
                try:
                    listener.waiting.put_nowait(event)
                except asyncio.QueueFull:
                    listener.is_behind = True
