"""How often one address may call, told with every answer by the headers `X-RateLimit-*`."""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunesmith.api import errors
from tunesmith.spec.errors import TooManyRequests

SECONDS: Final = 60.0
"""Within which requests are counted."""
REMEMBERED: Final = 10_000
"""Addresses whose requests are remembered; the one that was quiet for longest is forgotten first."""
UNCOUNTED: Final = ("/health", "/static/")
"""Paths that may be called as often as one likes: a look at whether all is well, and the parts of /docs."""


class Window:
    """Counts each caller's requests of the last minute."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self.clock = clock
        self.seen: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Count a request.

        Raises:
            TooManyRequests: the caller has none left.
        """
        times = self._recent(caller)
        if len(times) >= self.limit:
            raise TooManyRequests(self.limit, max(1.0, self.reset(caller)))
        times.append(self.clock())

    def left(self, caller: str) -> int:
        """Return how many requests a caller may send at once."""
        return max(0, self.limit - len(self._recent(caller)))

    def reset(self, caller: str) -> float:
        """Return the seconds until a caller has one request more than now."""
        times = self._recent(caller)
        return times[0] + SECONDS - self.clock() if times else 0.0

    def _recent(self, caller: str) -> deque[float]:
        times = self.seen.setdefault(caller, deque())
        self.seen.move_to_end(caller)
        if len(self.seen) > REMEMBERED:
            self.seen.popitem(last=False)
        while times and times[0] <= self.clock() - SECONDS:
            times.popleft()
        return times


class Allowance:
    """Lets so many requests of an address through in a minute; a limit of 0 lets all through."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.window = Window(limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request and hand it on; a message on a websocket counts as one, which its route sees to."""
        counted = scope["type"] in ("http", "websocket") and not scope["path"].startswith(UNCOUNTED)
        if not self.window.limit or not counted:
            await self.app(scope, receive, send)
            return
        caller = str((scope.get("client") or ("nobody",))[0])
        scope.setdefault("state", {})["take"] = lambda: self.window.take(caller)
        telling = self._telling(caller, send)
        try:
            self.window.take(caller)
        except TooManyRequests as error:
            await errors.rendered(scope, error)(scope, receive, telling)
            return
        await self.app(scope, receive, telling)

    def _telling(self, caller: str, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                headers["X-RateLimit-Limit"] = str(self.window.limit)
                headers["X-RateLimit-Remaining"] = str(self.window.left(caller))
                headers["X-RateLimit-Reset"] = str(math.ceil(self.window.reset(caller)))
            await send(message)

        return sending
