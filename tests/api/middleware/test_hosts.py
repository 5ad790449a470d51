from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from tunesmith.api.app import create_app
from tunesmith.api.middleware.hosts import host_name
from tunesmith.service.context import Service

FOREIGN = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example:8000",
    "0.0.0.0",
    "a@localhost",
]
ODD = ["", "[", "localhost:port", "localhost/..", "local host"]


def operations(app: FastAPI) -> list[tuple[str, str]]:
    return [(method.upper(), path) for path, item in app.openapi()["paths"].items() for method in item]


def test_no_route_answers_to_a_foreign_name(client: TestClient, app: FastAPI) -> None:
    for method, path in [*operations(app), ("GET", "/docs"), ("GET", "/nowhere"), ("GET", "/static/docs.js")]:
        answer = client.request(method, path, headers={"Host": "evil.example"})
        assert answer.status_code == 421, f"{method} {path}"


@pytest.mark.parametrize("host", [*FOREIGN, *ODD])
def test_whatever_is_no_name_of_this_machine_is_foreign(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:9", "[::1]:8000", "localhost."])
def test_this_machine_is_called_by_its_own_names(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_names_that_the_operator_lists_are_answered_to(service: Service) -> None:
    service.settings = service.settings.model_copy(update={"host_names": ["ml.example"]})
    client = TestClient(create_app(service), base_url="http://ml.example")
    assert client.get("/healthz").status_code == 200
    assert client.get("/healthz", headers={"Host": "other.example"}).status_code == 421


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost:3000", "http://localhost.evil.example:8000", "file://", "x"],
)
def test_pages_of_another_origin_change_nothing(client: TestClient, job_body: dict[str, Any], origin: str) -> None:
    answer = client.post("/api/jobs", json=job_body, headers={"Origin": origin})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_origin")
    assert client.get("/api/jobs").json()["jobs"] == []


def test_pages_of_the_same_origin_may_post(client: TestClient, job_body: dict[str, Any]) -> None:
    assert client.post("/api/jobs", json=job_body, headers={"Origin": "http://localhost:8000"}).status_code == 201


def test_a_page_that_hides_its_origin_is_told_by_the_browser(client: TestClient, job_body: dict[str, Any]) -> None:
    assert client.post("/api/jobs", json=job_body, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_websockets_are_refused_before_they_are_open(client: TestClient, headers: dict[str, str]) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws/training", headers=headers):
        pass


def test_the_name_is_read_as_browsers_write_it() -> None:
    assert host_name("Example.COM:80") == "example.com"
    assert host_name("[::1]:80") == "::1"
    assert host_name("") is None
