from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from tunesmith.api.app import create_app
from tunesmith.service.context import Service

HERE = "http://localhost:8000"


@pytest.fixture
def narrow(service: Service) -> Iterator[TestClient]:
    """A client of a server that takes 1,000 bytes at most."""
    service.settings = service.settings.model_copy(update={"max_body_mb": 0.001})
    with TestClient(create_app(service), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/plain; charset=application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        None,
    ],
)
def test_what_any_page_may_send_is_not_json(client: TestClient, job_body: dict[str, Any], kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = client.post("/api/jobs", content=json.dumps(job_body), headers=headers)
    assert answer.status_code == 415
    assert client.get("/api/jobs").json()["jobs"] == []


def test_a_body_that_says_how_large_it_is_is_refused_at_once(narrow: TestClient) -> None:
    answer = narrow.post("/api/jobs", json={"spec": "x" * 1_001})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_a_body_is_counted_whatever_it_says(narrow: TestClient) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    answer = narrow.post("/api/jobs", content=endless(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_json_nested_beyond_reason_is_a_sentence(client: TestClient) -> None:
    body = '{"spec":' + "[" * 100_000 + "]" * 100_000 + "}"
    answer = client.post("/api/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and "cannot be read" in answer.json()["error"]["message"]
