"""Who asks: a key, this home's own commands, or everybody on this machine while there are no keys."""

from __future__ import annotations

import hmac
import time
from typing import Final

from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunesmith.api import errors
from tunesmith.api.middleware.hosts import host_name, is_loopback
from tunesmith.api.middleware.rates import Rates
from tunesmith.service.accounts import keys
from tunesmith.service.accounts.principal import OPERATOR, Principal
from tunesmith.service.context import Service
from tunesmith.spec.errors import Unauthenticated

UNCOUNTED: Final = frozenset({"/healthz", "/readyz"})
"""Paths that whoever watches the server may call, as often as they like."""
OPEN: Final = frozenset({"/docs", "/openapi.json", "/api/v1/health", "/api/system/health"})
"""Paths that everybody may call: what the server answers, and whether it is well, in other words."""
OPEN_BELOW: Final = "/static/"
PROTOCOL: Final = "bearer."
"""A page's websocket cannot send headers; it offers the subprotocol ``bearer.KEY`` (beside the one that it speaks)."""

RECHECK_SECONDS: Final = 5.0
"""How often the key of an answer that goes on is looked up again."""
BEGIN: Final = "http.response.start"
LAST: Final[dict[str, Message]] = {
    "http.response.body": {"type": "http.response.body", "body": b"", "more_body": False},
    "websocket.send": {"type": "websocket.close", "code": 1008},
}
"""By what an answer sends, how it ends where its key was revoked."""


class Access:
    """Says who asks, and how often they may, or refuses."""

    def __init__(self, app: ASGIApp, service: Service, token: str | None) -> None:
        self.app = app
        self.service = service
        self.token = token
        """What the commands of this home send."""
        self.rates = Rates(service.settings.rate_limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who asks and hand the request on."""
        if scope["type"] in ("http", "websocket") and scope["path"] not in UNCOUNTED:
            address = str((scope.get("client") or ("nobody",))[0])
            secret = _secret(Headers(scope=scope))
            if self._is_of_this_home(secret):
                principal: Principal | None = OPERATOR  # Commands follow their jobs as closely as they like.
            else:
                try:
                    principal = await self._asker(scope, secret)
                except Unauthenticated:
                    self.rates.count(address)
                    raise
                self.rates.count(principal.key if principal and principal.key else address)
            scope.setdefault("state", {})["principal"] = principal
            if principal is not None and principal.key is not None and secret is not None:
                send = self._while_valid(secret, send, errors.rendered(scope, Unauthenticated()), scope, receive)
        await self.app(scope, receive, send)

    def _while_valid(self, secret: str, send: Send, refusal: ASGIApp, scope: Scope, receive: Receive) -> Send:
        """Let an answer begin and go on for as long as the key is one: either can be later than the key's end."""
        checked, over = time.monotonic(), False

        async def sent(message: Message) -> None:
            nonlocal checked, over
            kind = message["type"]
            if not over and (kind in LAST or kind == BEGIN) and time.monotonic() - checked >= RECHECK_SECONDS:
                checked = time.monotonic()
                if over := not await run_sync(keys.is_valid, self.service, secret):
                    await (refusal(scope, receive, send) if kind == BEGIN else send(LAST[kind]))
            if not over:
                await send(message)

        return sent

    def _is_of_this_home(self, secret: str | None) -> bool:
        return (
            secret is not None and self.token is not None and hmac.compare_digest(secret.encode(), self.token.encode())
        )

    async def _asker(self, scope: Scope, secret: str | None) -> Principal | None:
        """Return who asks; None where everybody may."""
        if scope["path"] in OPEN or scope["path"].startswith(OPEN_BELOW):
            return None
        # Without any key in force a key means nothing: OpenAI's client, for one, always sends some.
        if not await run_sync(keys.in_force, self.service):
            return self._without_keys(Headers(scope=scope), scope)
        if secret is None:
            raise Unauthenticated
        return await run_sync(keys.authenticate, self.service, secret)

    def _without_keys(self, headers: Headers, scope: Scope) -> Principal:
        """Let in whoever calls this machine from itself, or by a name that the operator trusts."""
        settings = self.service.settings
        host = host_name(headers.get("host", "")) or ""
        client = scope.get("client")
        if is_loopback(settings.host) or host in {name.lower() for name in settings.trusted_network}:
            return OPERATOR
        if client is not None and is_loopback(client[0]) and is_loopback(host):
            return OPERATOR
        raise Unauthenticated


def _secret(headers: Headers) -> str | None:
    """Return the key that a request brings."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    if "x-api-key" in headers:
        return headers["x-api-key"]
    offered = [word.strip() for word in headers.get("sec-websocket-protocol", "").split(",")]
    return next((word.removeprefix(PROTOCOL) for word in offered if word.startswith(PROTOCOL)), None)
