"""``Idempotency-Key``: a POST that is sent again is carried out once and answered the same."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import Any, Final

from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunesmith.service import idempotency
from tunesmith.service.context import Service
from tunesmith.service.idempotency import Kept
from tunesmith.spec.errors import BadValue

LONGEST: Final = 255
"""Characters of a key."""
REFUSED: Final = 400
"""From this status on a request was not carried out: the key is free again, and the same request may well succeed."""
KEPT_HEADERS: Final = ("content-type", "location", "tus-resumable", "upload-expires", "upload-became")


class Once:
    """Stands right before the routes, where it is known who asks."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on unless it was answered before."""
        key = Headers(scope=scope).get("idempotency-key") if scope["type"] == "http" else None
        principal = scope.get("state", {}).get("principal")
        if key is None or scope["method"] != "POST" or principal is None:
            await self.app(scope, receive, send)
            return
        if not key.strip() or len(key) > LONGEST or not key.isprintable():
            raise BadValue("Idempotency-Key", key[:80], f"1 to {LONGEST} printable characters")
        brings_file = _brings_file(scope)
        body = b"" if brings_file else await _read(receive)
        if body is None:
            return  # Whoever sent it has gone before it was whole: it is no request, and nobody waits for an answer.
        once = idempotency.Once(principal.org or "", key, _digest(scope, body), brings_file)
        found = await run_sync(idempotency.begin, self.service, once)
        if found is not None:
            await _read_on(receive, brings_file)
            await _replayed(found)(scope, receive, send)
            return
        await self._carry_out(once, scope, receive if brings_file else _again(body, receive), send)

    async def _carry_out(self, once: idempotency.Once, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(send)
        try:
            with idempotency.ids_from(once):
                await self.app(scope, receive, answer.take)
        except BaseException:
            await run_sync(idempotency.forget, self.service, once)
            raise
        if answer.status >= REFUSED or answer.streams:
            await run_sync(idempotency.forget, self.service, once)
        else:
            secret = answer.headers.get("cache-control") == "no-store"
            kept = Kept(answer.status, answer.text, {k: answer.headers[k] for k in KEPT_HEADERS if k in answer.headers})
            await run_sync(lambda: idempotency.finish(self.service, once, kept, is_secret=secret))
        for message in answer.messages:
            await send(message)


class _Answer:
    """An answer that is kept before it is sent; a stream, which makes nothing, is sent as it comes."""

    def __init__(self, send: Send) -> None:
        self.messages: list[Message] = []
        self.status = 500
        self.headers = Headers()
        self._send = send

    async def take(self, message: Message) -> None:
        """Take a part of it."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], Headers(raw=message["headers"])
        if self.streams:
            await self._send(message)
        else:
            self.messages.append(message)

    @property
    def streams(self) -> bool:
        """Whether it is a stream."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def text(self) -> str:
        """Its body."""
        return b"".join(message.get("body", b"") for message in self.messages).decode()


def _brings_file(scope: Scope) -> bool:
    """Whether the body is a file: too large to be held, so that the key alone tells two requests to a path apart."""
    kind = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
    return kind not in ("", "application/json") and not kind.endswith("+json")


async def _read(receive: Receive) -> bytes | None:
    """Return the whole body; None where the client has gone."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body


async def _read_on(receive: Receive, brings_file: bool) -> None:
    """Take the rest off the line: most clients listen for an answer only after they have sent all."""
    more = brings_file
    while more:
        message = await receive()
        more = message["type"] != "http.disconnect" and message.get("more_body", False)


def _digest(scope: Scope, body: bytes) -> str:
    """Name a request; JSON that only differs in spaces or in the order of its keys is the same."""
    with suppress(ValueError):
        body = json.dumps(json.loads(body), sort_keys=True).encode()
    whole = b"\0".join((scope["method"].encode(), scope["path"].encode(), scope["query_string"], body))
    return hashlib.sha256(whole).hexdigest()


def _replayed(found: Kept) -> Response:
    headers: dict[str, Any] = {**found.headers, "Idempotency-Replayed": "true"}
    return Response(found.body, found.status, headers)


def _again(body: bytes, receive: Receive) -> Receive:
    """Hand a body on that was read already."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving
