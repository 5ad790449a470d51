from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tunesmith.api.middleware import once as middleware
from tunesmith.service import idempotency
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


@pytest.mark.parametrize("key", [" ", "x" * (middleware.LONGEST + 1)])
def test_a_key_is_printable_and_short(client: TestClient, job_body: dict[str, Any], key: str) -> None:
    assert client.post("/api/jobs", json=job_body, headers={"Idempotency-Key": key}).status_code == 422


def test_old_keys_are_forgotten(client: TestClient, service: Service, post_job: Callable[..., str]) -> None:
    client.post("/api/flaky", json={}, headers=KEY)
    with service.database.write() as connection:
        kept.forget_old(connection, service.database.now(connection) + 1)
        assert kept.get(connection, "", "one-key") is None
