"""Server-sent events: the lines of the format, and streams that a client can take up again where it was cut off."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import Header, Query
from starlette.responses import StreamingResponse

PING_SECONDS: Final = 15.0
"""Silence after which a comment is sent, so that nobody on the way takes the connection for dead."""
PING: Final = ": ping\n\n"
RETRY: Final = "retry: 1000\n\n"
"""Milliseconds after which a client that was cut off comes back."""


def _cursor(
    last_event_id: Annotated[int | None, Header(ge=0, le=2**62, description="Id of the last event received.")] = None,
    after: Annotated[int, Query(ge=0, le=2**62, description="The same, where no header can be sent.")] = 0,
) -> int:
    return last_event_id if last_event_id is not None else after


cursor = _cursor
"""Where a client goes on: its Last-Event-ID, which a browser sends by itself, or ``?after=``."""


def line(id: int, kind: str, body: Any) -> str:
    """Write one event; JSON has no line ends of its own."""
    return f"id: {id}\nevent: {kind}\ndata: {json.dumps(body)}\n\n"


def streamed(lines: AsyncIterator[str]) -> StreamingResponse:
    """Answer with a stream that nobody on the way may keep back."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(lines, media_type="text/event-stream", headers=headers)
