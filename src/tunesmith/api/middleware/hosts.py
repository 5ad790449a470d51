"""Who a request is for, and which page sent it: a foreign Host or Origin is a web page that plays its reader.

Against DNS rebinding the Host must be a name of this server, on every route, streams and websockets too. Against forged
requests what changes something (and every websocket) must come from a page of the same origin, or from no page.
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tunesmith.settings import Settings
from tunesmith.spec.errors import ForeignHost, ForeignOrigin

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this machine for itself."""
WILDCARDS: Final = frozenset({"", "0.0.0.0", "::"})
"""Addresses that stand for all of a machine's."""
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""


class Hosts:
    """Lets requests in that are meant for this server and sent by nobody else's page."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        named = {settings.host} - WILDCARDS
        self.names = LOOPBACK | {name.lower() for name in (*named, *settings.trusted_network, *settings.host_names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at the names and hand the request on."""
        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            hosts = headers.getlist("host")
            host = hosts[0] if len(hosts) == 1 else ""
            if not self._is_ours(host_name(host), scope):
                raise ForeignHost(host)
            if scope["type"] == "websocket" or scope["method"] not in SAFE:
                _refuse_foreign_page(headers, host)
        await self.app(scope, receive, send)

    def _is_ours(self, name: str | None, scope: Scope) -> bool:
        if name is None:
            return False
        return name in self.names or _is_address_of(name, scope)


def host_name(host: str) -> str | None:
    """Return the name in a Host header, without port and brackets; None if it is none."""
    if any(character in host for character in "/\\@?#, \t"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 - raises for a port that is no number.
    except ValueError:
        return None
    return parts.hostname.rstrip(".") if parts.hostname else None


def is_loopback(address: str) -> bool:
    """Whether an address (or name) is this machine's for itself."""
    if address in LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_address_of(name: str, scope: Scope) -> bool:
    """Whether a Host is the very address that the connection came in at: an address cannot be rebound."""
    server = scope.get("server")
    try:
        return server is not None and ipaddress.ip_address(name) == ipaddress.ip_address(server[0])
    except ValueError:
        return False


def _refuse_foreign_page(headers: Headers, host: str) -> None:
    origin = headers.get("origin")
    if origin is not None and not _same(origin, host):
        raise ForeignOrigin(origin)
    if origin is None and headers.get("sec-fetch-site") == "cross-site":
        raise ForeignOrigin("another site")


def _same(origin: str, host: str) -> bool:
    """Whether an Origin is the one that was called; a proxy may have dropped the port from the Host."""
    try:
        page, called = urlsplit(origin), urlsplit(f"//{host}")
        if page.scheme not in ("http", "https") or page.hostname != called.hostname:
            return False
        return called.port is None or called.port == (page.port or {"http": 80, "https": 443}[page.scheme])
    except ValueError:
        return False
