"""A client of the application, and jobs to look at: on SQLite, and on PostgreSQL by `make slow`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tunesmith.api.app import create_app
from tunesmith.service.context import Service

FOLDER = Path(__file__).parent
HERE = "http://localhost:8000"
TOKEN = "the token of this home's commands"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what a route does on PostgreSQL to ``make slow``: the service below it is tested on both databases."""
    for item in items:
        if item.path.is_relative_to(FOLDER) and "[postgresql" in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def app(service: Service) -> FastAPI:
    """The application of a service."""
    return create_app(service, TOKEN)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """Somebody on this machine who calls it."""
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as http:
        yield http


@pytest.fixture
def job_body(tmp_path: Path) -> dict[str, Any]:
    """A job that may be queued: its data is there, and its model would be fetched."""
    data = tmp_path / "rows.jsonl"
    data.write_text(json.dumps({"text": "Hello"}) + "\n")
    spec = {"model": {"source": "someone/some-model"}, "datasets": [{"uri": str(data)}]}
    return {"spec": {**spec, "output": {"dir": str(tmp_path / "result")}}}


@pytest.fixture
def post_job(client: TestClient, job_body: dict[str, Any]) -> Callable[..., str]:
    """Queue a job and return its id."""

    def posting(**more: Any) -> str:
        answer = client.post("/api/jobs", json={**job_body, **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    return posting
