from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from tunesmith.api.middleware import access
from tunesmith.api.middleware.access import Access
from tunesmith.service.accounts import keys, organisations
from tunesmith.service.accounts.principal import OPERATOR, Role
from tunesmith.service.context import Service


@pytest.mark.parametrize(
    ("kind", "body", "last"),
    [
        ("http", "http.response.body", {"type": "http.response.body", "body": b"", "more_body": False}),
        ("websocket", "websocket.send", {"type": "websocket.close", "code": 1008}),
    ],
)
def test_a_stream_ends_when_its_key_is_revoked(
    service: Service, monkeypatch: pytest.MonkeyPatch, kind: str, body: str, last: dict[str, Any]
) -> None:
    monkeypatch.setattr(access, "RECHECK_SECONDS", 0.0)
    organisations.create(service, OPERATOR, "acme")
    key, secret = keys.create(service, OPERATOR, org="acme", role=Role.MEMBER)
    sent: list[dict[str, Any]] = []

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": body, "body": b"before", "more_body": True})
        keys.revoke(service, OPERATOR, key.id)
        await send({"type": body, "body": b"after", "more_body": True})
        await send({"type": body, "body": b"long after", "more_body": True})

    async def nothing() -> Any:
        raise AssertionError

    async def told(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {secret}".encode())]
    scope = {"type": kind, "path": "/api/events", "headers": headers, "client": ("127.0.0.1", 1)}
    asyncio.run(Access(stream, service, None)(scope, nothing, told))
    assert [message.get("body") for message in sent[:-1]] == [b"before"]
    assert sent[-1] == last


def test_an_answer_that_begins_after_its_key_was_revoked_is_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "RECHECK_SECONDS", 0.0)
    organisations.create(service, OPERATOR, "acme")
    key, secret = keys.create(service, OPERATOR, org="acme", role=Role.MEMBER)
    sent: list[dict[str, Any]] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        keys.revoke(service, OPERATOR, key.id)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
        await send({"type": "http.response.body", "body": b"answer"})

    async def nothing() -> Any:
        raise AssertionError

    async def told(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {secret}".encode())]
    scope = {"type": "http", "path": "/v1/chat/completions", "headers": headers, "client": ("127.0.0.1", 1)}
    asyncio.run(Access(slow, service, None)(scope, nothing, told))
    begun, body = sent
    assert begun["status"] == 401
    assert json.loads(body["body"])["error"]["type"] == "authentication_error"
