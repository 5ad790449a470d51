"""Errors that are met before or beside a route: rendered like every other one, with an id in the log for our own."""

from __future__ import annotations

import logging
import secrets
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunesmith.api import errors
from tunesmith.spec.errors import Broken, TunesmithError

log = logging.getLogger("tunesmith.api")
POLICY_VIOLATION: Final = 1008
"""Close code of a websocket that is refused, where the server cannot answer with a status."""


class Answers:
    """Turns what is raised further inside into an answer in the shape of the way in."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, and answer what is raised."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] in ("http.response.start", "websocket.accept")
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except TunesmithError as error:
            await _answer(error, begun, scope, receive, send)
        except errors.Refused as refused:
            await _answer(refused.error, begun, scope, receive, send)
        except Exception as error:
            id = f"error-{secrets.token_hex(6)}"
            log.error("%s: %s %s", id, scope.get("method", "websocket"), scope["path"], exc_info=error)
            await _answer(Broken(id), begun, scope, receive, send)


async def _answer(error: TunesmithError, begun: bool, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an error; where an answer has begun, all that is left is to break it off."""
    if begun:
        raise error
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": error.message[:120]})
        return
    await errors.rendered(scope, error)(scope, receive, send)
