"""Answers of a model to one request: whole, or piece by piece; whoever leaves ends the computation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tunesmith.api.errors import said
from tunesmith.api.sse import HEADERS, PING, PING_SECONDS
from tunesmith.service.serving.pool import Chunks
from tunesmith.spec.errors import TunesmithError

T = TypeVar("T")
CLIENT_LEFT: Final = 499
"""Status that nobody reads: its request has been closed."""
DONE: Final = "data: [DONE]\n\n"


async def whole(request: Request, answer: Awaitable[T]) -> T:
    """Wait for an answer; cancel it if the client leaves first.

    Raises:
        HTTPException: the client has left.
        TunesmithError: as the answer does.
    """
    task = asyncio.ensure_future(answer)
    await _until(task, request)
    return task.result()


async def streamed(
    request: Request, beginning: Awaitable[Chunks], line: Callable[[Mapping[str, Any]], str]
) -> StreamingResponse:
    """Answer with the chunks of an answer, each as ``line`` writes it.

    What is found wrong within a ping's time has a status of its own. A model that takes longer to load is waited for
    with pings, and what is found wrong then is said as the last event.

    Raises: as ``whole``.
    """
    task = asyncio.ensure_future(beginning)
    await _until(task, request, PING_SECONDS)
    if task.done():
        task.result()
    return _Streamed(_Pieces(task, line, request.scope))


def event(content: Mapping[str, Any]) -> str:
    """Write one event that has no name."""
    return f"data: {json.dumps(content)}\n\n"


async def _until(task: asyncio.Future[T], request: Request, seconds: float | None = None) -> None:
    """Wait until something is done, or for so long; end it if the client leaves."""
    leaving = asyncio.ensure_future(_left(request))
    either: set[asyncio.Future[Any]] = {task, leaving}
    try:
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if leaving.done() and not task.done():
            await _ended(task)
            raise HTTPException(CLIENT_LEFT, "The client has left.")
    except asyncio.CancelledError:
        await _ended(task)
        raise
    finally:
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _ended(task: asyncio.Future[Any]) -> None:
    """Cancel something and wait until it has let go of what it holds."""
    task.cancel()
    with suppress(asyncio.CancelledError, TunesmithError):
        await task


class _Pieces:
    """The events of one answer, from before it begins to its last."""

    def __init__(
        self, beginning: asyncio.Future[Chunks], line: Callable[[Mapping[str, Any]], str], scope: Scope
    ) -> None:
        self._beginning = beginning
        self._line = line
        self._scope = scope
        self._coming: asyncio.Future[Any] | None = None

    async def lines(self) -> AsyncIterator[str]:
        """Yield the events, and a ping after each silence."""
        try:
            async for ping in _silences(self._beginning):
                yield ping
            chunks = self._beginning.result()
            while True:
                self._coming = asyncio.ensure_future(anext(chunks, None))
                async for ping in _silences(self._coming):
                    yield ping
                if (chunk := self._coming.result()) is None:
                    break
                yield self._line(chunk)
        except TunesmithError as error:
            yield event(said(self._scope["path"], error))
        yield DONE

    async def close(self) -> None:
        """End the answer, however far it has come."""
        if self._coming is not None:
            await _ended(self._coming)
        if not self._beginning.done():
            await _ended(self._beginning)
        if not self._beginning.cancelled() and self._beginning.exception() is None:
            await self._beginning.result().aclose()


async def _silences(task: asyncio.Future[Any]) -> AsyncIterator[str]:
    """Yield a ping each time that nothing comes for a while."""
    while not (await asyncio.wait({task}, timeout=PING_SECONDS))[0]:
        yield PING


class _Streamed(StreamingResponse):
    """A stream that lets go of its answer also where it never began."""

    def __init__(self, pieces: _Pieces) -> None:
        super().__init__(pieces.lines(), media_type="text/event-stream", headers=HEADERS)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._pieces.close()
