"""Keys where other machines can call: asked for on every path that reaches the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tunesmith.api.middleware.access import OPEN, Access

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from tunesmith.service.context import Service

OPEN_HERE: Final = OPEN | {"/", "/health"}
"""Paths that need no key: a browser cannot send one before it has the page."""


class Keyed:
    """Has who asks found out, but on the paths that are open to all."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app = app
        self.access = Access(app, service, None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on."""
        is_open = scope["type"] in ("http", "websocket") and scope["path"] in OPEN_HERE
        await (self.app if is_open else self.access)(scope, receive, send)
