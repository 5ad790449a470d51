"""Server-sent events: the lines of the format, and streams that a client can take up again where it was cut off."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Query
from starlette.responses import StreamingResponse

PING_SECONDS: Final = 15.0
"""Silence after which a comment is sent, so that nobody on the way takes the connection for dead."""
PING: Final = ": ping\n\n"
RETRY: Final = "retry: 1000\n\n"
"""Milliseconds after which a client that was cut off comes back."""
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""What keeps everybody on the way from holding a stream back."""
STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events as they come."}
}
"""What a stream looks like in the API's description."""


def _cursor(
    last_event_id: Annotated[int | None, Header(ge=0, le=2**53 - 1, description="Id of the last event read.")] = None,
    after: Annotated[int | None, Query(ge=0, le=2**53 - 1, description="The same, without a header.")] = None,
) -> int | None:
    return last_event_id if last_event_id is not None else after


Cursor = Annotated[int | None, Depends(_cursor)]
"""Where a client goes on: its Last-Event-ID, which a browser sends by itself, or ``?after=``."""


def line(id: int, kind: str, body: Any) -> str:
    """Write one event; JSON has no line ends of its own."""
    return f"id: {id}\nevent: {kind}\ndata: {json.dumps(body)}\n\n"


def streamed(lines: AsyncIterator[str]) -> StreamingResponse:
    """Answer with a stream that nobody on the way may keep back."""
    return StreamingResponse(lines, media_type="text/event-stream", headers=HEADERS)


async def ticks(closing: asyncio.Event, seconds: float) -> AsyncIterator[bool]:
    """Yield every so many seconds until the server closes: whether it is time to say that one is still there."""
    loop = asyncio.get_running_loop()
    said = loop.time()
    while not closing.is_set():
        is_quiet = loop.time() - said >= PING_SECONDS
        said = loop.time() if is_quiet else said
        yield is_quiet
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), seconds)
