"""What a request may carry: JSON or an upload, and not more of it than the settings say."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunesmith.api.errors import Refused
from tunesmith.settings import Settings
from tunesmith.spec.errors import TooLarge, WrongContentType

UPLOADS: Final = ("application/offset+octet-stream", "application/octet-stream", "multipart/form-data")
"""Types that only routes that take files take. No page of another origin can send the first two without being asked
for a preflight, and Origin is checked for the third."""
MEGABYTE, GIGABYTE = 10**6, 10**9


class Bodies:
    """Refuses bodies of types that any page may send, and counts the others while they come in."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        uploads: Sequence[re.Pattern[str]],
        shown: re.Pattern[str] | None = None,
        too_large: Callable[[int], TooLarge] = TooLarge,
    ) -> None:
        """``uploads`` are the paths that take files, ``shown`` those that show one to a model, which is no larger than
        other bodies; ``too_large`` makes the error of a body above a limit."""
        self.app = app
        self.limit = int(settings.max_body_mb * MEGABYTE)
        self.upload_limit = int(settings.upload_limit_gb * GIGABYTE)
        self.uploads = uploads
        self.shown = shown
        self.too_large = too_large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at what the request carries and hand it on."""
        if scope["type"] != "http" or not _has_body(headers := Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        is_shown = self.shown is not None and self.shown.match(scope["path"]) is not None
        takes_files = is_shown or any(pattern.match(scope["path"]) for pattern in self.uploads)
        _check_type(headers.get("content-type", "none"), takes_files)
        limit = self.upload_limit if takes_files and not is_shown else self.limit
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > limit:
            raise self.too_large(limit)
        await self.app(scope, _counted(receive, limit, self.too_large), send)


def _has_body(headers: Headers) -> bool:
    length = headers.get("content-length", "0")
    return "transfer-encoding" in headers or not length.isdigit() or int(length) > 0


def _check_type(found: str, takes_files: bool) -> None:
    kind = found.partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return
    if takes_files and kind in UPLOADS:
        return
    raise WrongContentType(found)


def _counted(receive: Receive, limit: int, too_large: Callable[[int], TooLarge]) -> Receive:
    """Hand a body on; break off where it grows beyond the limit, whatever length it claimed to have."""
    taken = 0

    async def receiving() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise Refused(too_large(limit))
        return message

    return receiving
