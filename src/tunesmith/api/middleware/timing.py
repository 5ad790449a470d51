"""How long answers take, for ``/metrics``."""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import CollectorRegistry, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS: Final = CollectorRegistry()
"""What this process measured of its requests."""
SECONDS: Final = Histogram(
    "tunesmith_request_seconds",
    "Seconds from a request to the first byte of its answer.",
    ["method", "route", "status"],
    registry=REQUESTS,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Timing:
    """Measures until an answer begins; streams go on long after."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on and take the time."""
        begun = time.perf_counter()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The route's pattern, never the path: a path is the caller's to choose, and there is no end of them.
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if scope["method"] in METHODS else "other"
                SECONDS.labels(method, route, str(message["status"])).observe(time.perf_counter() - begun)
            await send(message)

        await self.app(scope, receive, sending if scope["type"] == "http" else send)
