from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tunesmith.api.app import create_app
from tunesmith.api.middleware import once as middleware
from tunesmith.service import idempotency
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service
from tunesmith.service.idempotency import PATIENCE
from tunesmith.store import idempotency as kept

KEY = {"Idempotency-Key": "one-key"}


def count(client: TestClient) -> int:
    return len(client.get("/api/jobs").json()["jobs"])


def test_the_same_request_is_answered_the_same(client: TestClient, job_body: dict[str, Any]) -> None:
    first = client.post("/api/jobs", json=job_body, headers=KEY)
    again = client.post("/api/jobs", json=job_body, headers=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json() and again.headers["Idempotency-Replayed"] == "true"
    assert count(client) == 1


def test_another_request_under_the_same_key_is_refused(client: TestClient, job_body: dict[str, Any]) -> None:
    client.post("/api/jobs", json=job_body, headers=KEY)
    answer = client.post("/api/jobs", json={**job_body, "priority": 1}, headers=KEY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert count(client) == 1


def test_a_thousand_retries_at_once_make_one_job(client: TestClient, job_body: dict[str, Any]) -> None:
    start = threading.Barrier(20)

    def retry(_: int) -> list[tuple[int, str]]:
        start.wait()
        answers = [client.post("/api/jobs", json=job_body, headers=KEY) for _ in range(50)]
        return [(answer.status_code, answer.json().get("id", "")) for answer in answers]

    with ThreadPoolExecutor(20) as pool:
        answers = [answer for found in pool.map(retry, range(20)) for answer in found]
    statuses = Counter(status for status, _ in answers)
    assert len(answers) == 1000 and set(statuses) <= {201, 409} and statuses[201] > 0
    assert len({id for status, id in answers if status == 201}) == 1
    assert count(client) == 1


def test_while_it_is_answered_the_request_waits_its_turn(
    client: TestClient, service: Service, job_body: dict[str, Any]
) -> None:
    client.post("/api/jobs", json=job_body, headers=KEY)
    with service.database.write() as connection:
        kept.finish(connection, "", "one-key", None, None)
    answer = client.post("/api/jobs", json=job_body, headers=KEY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


def test_a_server_that_died_before_it_answered_leaves_one_job(
    client: TestClient, service: Service, job_body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = client.post("/api/jobs", json=job_body, headers=KEY)
    with service.database.write() as connection:
        kept.finish(connection, "", "one-key", None, None)
    monkeypatch.setattr(idempotency, "PATIENCE", -1.0)
    again = client.post("/api/jobs", json=job_body, headers=KEY)
    assert PATIENCE > 0 and again.status_code == 201 and again.json()["id"] == first.json()["id"]
    assert count(client) == 1


def test_a_refused_request_may_be_sent_again(client: TestClient, app: FastAPI, job_body: dict[str, Any]) -> None:
    failures = [RuntimeError()]

    @app.post("/api/flaky")
    def _flaky() -> dict[str, int]:
        if failures:
            raise failures.pop()
        return {"done": 1}

    assert client.post("/api/flaky", headers=KEY).status_code == 500
    assert client.post("/api/flaky", headers=KEY).json() == {"done": 1}


def test_what_was_refused_may_succeed_later_under_its_key(
    client: TestClient, job_body: dict[str, Any], tmp_path: Path
) -> None:
    late = tmp_path / "late.jsonl"
    job_body["spec"]["datasets"] = [{"uri": str(late)}]
    assert client.post("/api/jobs", json=job_body, headers=KEY).status_code == 422
    late.write_text('{"text": "Hello"}\n')
    assert client.post("/api/jobs", json=job_body, headers=KEY).status_code == 201
    assert count(client) == 1


@pytest.mark.parametrize("path", ["/api/datasets/upload", "/v1/files"])
def test_a_file_that_is_sent_twice_is_there_once(client: TestClient, path: str) -> None:
    answers = [
        client.post(
            path, headers=KEY, data={"purpose": "fine-tune"} if path == "/v1/files" else {},
            files={"file": ("rows.jsonl", b'{"messages": [{"role": "user", "content": "Hello"}]}\n')},
        )
        for _ in range(2)
    ]  # fmt: skip
    assert answers[0].is_success and answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    listed = client.get(path.removesuffix("/upload")).json()
    assert len(listed.get("datasets") or listed["data"]) == 1


def test_an_upload_is_begun_once(client: TestClient) -> None:
    tus = {**KEY, "Tus-Resumable": "1.0.0", "Upload-Length": "3"}
    first, again = (client.post("/api/uploads", headers=tus) for _ in range(2))
    for name in ("Location", "Tus-Resumable", "Upload-Expires"):
        assert first.headers[name] == again.headers[name]


def test_a_body_that_grows_too_large_is_told_so(service: Service) -> None:
    service.settings = service.settings.model_copy(update={"max_body_mb": 0.001})
    pieces = iter([b" " * 600] * 2)
    with TestClient(create_app(service), base_url="http://localhost:8000") as client:
        answer = client.post("/api/jobs", content=pieces, headers={**KEY, "Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_half_a_request_is_none(app: FastAPI, service: Service) -> None:
    whole = iter([{"type": "http.request", "body": b'{"sp', "more_body": True}, {"type": "http.disconnect"}])
    said: list[Any] = []

    async def call() -> None:
        async def receive() -> Any:
            return next(whole)

        async def send(message: Any) -> None:
            said.append(message)

        headers = [(b"host", b"localhost"), (b"idempotency-key", b"one-key"), (b"content-type", b"application/json"),
                   (b"transfer-encoding", b"chunked")]  # fmt: skip
        scope = {"type": "http", "method": "POST", "path": "/api/jobs", "query_string": b"", "headers": headers,
                 "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000), "http_version": "1.1", "scheme": "http",
                 "root_path": "", "raw_path": b"/api/jobs"}  # fmt: skip
        await app(scope, receive, send)

    asyncio.run(call())
    assert said == []
    with service.database.read() as connection:
        assert kept.get(connection, "", "one-key") is None


def test_a_stream_is_sent_as_it_comes_and_its_key_is_free_again(service: Service) -> None:
    """Held back until it is over, an answer of a model would not be streamed at all."""
    said: list[Any] = []

    async def streaming(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for piece in (b"one", b"two"):
            await send({"type": "http.response.body", "body": piece, "more_body": piece == b"one"})
            assert said[-1]["body"] == piece

    async def call() -> None:
        async def receive() -> Any:
            return {"type": "http.request", "body": b"{}", "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        headers = [(b"idempotency-key", b"one-key"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "query_string": b"",
                 "headers": headers, "state": {"principal": OPERATOR}}  # fmt: skip
        await middleware.Once(streaming, service)(scope, receive, send)

    asyncio.run(call())
    assert [message.get("body") for message in said] == [None, b"one", b"two"]
    with service.database.read() as connection:
        assert kept.get(connection, "", "one-key") is None


@pytest.mark.parametrize("key", [" ", "x" * (middleware.LONGEST + 1)])
def test_a_key_is_printable_and_short(client: TestClient, job_body: dict[str, Any], key: str) -> None:
    assert client.post("/api/jobs", json=job_body, headers={"Idempotency-Key": key}).status_code == 422


def test_old_keys_are_forgotten(client: TestClient, service: Service, post_job: Callable[..., str]) -> None:
    client.post("/api/flaky", json={}, headers=KEY)
    with service.database.write() as connection:
        kept.forget_old(connection, service.database.now(connection) + 1)
        assert kept.get(connection, "", "one-key") is None
