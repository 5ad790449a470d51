"""Every operation of the API x {no key, another organisation's administrator, viewer, member, admin, operator}."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from starlette.testclient import TestClient

from api.authorisation import documents, openai, ours
from api.authorisation.rows import Least, Row
from tunesmith.api.app import create_app
from tunesmith.service.accounts import keys, organisations
from tunesmith.service.accounts.principal import OPERATOR, Role
from tunesmith.service.context import Service
from tunesmith.service.datasets.files import store_file
from tunesmith.service.jobs import queue
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef, Output
from tunesmith.spec.states import RunState
from tunesmith.store import models as stored_models
from tunesmith.store import runs as stored_runs

ROWS: dict[str, Row] = {**ours.ROWS, **documents.ROWS, **openai.ROWS}
OURS = "acme"
RUN = "20260101-000000-theirs-0000"


@dataclass
class World:
    """An organisation that has one of everything, and those who call."""

    client: TestClient
    secrets: dict[str, str | None]
    ids: dict[str, str]

    def call(self, operation: str, row: Row, caller: str) -> Response:
        method, path = operation.split(" ")
        secret = self.secrets[caller]
        headers = {**row.headers, **({"Authorization": f"Bearer {secret}"} if secret else {})}
        body = json.loads(json.dumps(row.json), object_hook=self._filled) if row.json is not None else None
        return self.client.request(
            method, path.format_map(self.ids), json=body, files=row.files, data=row.data, headers=headers,
            params=row.params, content=b"Hel" if method == "PATCH" and body is None else None,
        )  # fmt: skip

    def _filled(self, part: dict[str, Any]) -> dict[str, Any]:
        return {name: value.format_map(self.ids) if _is_open(value) else value for name, value in part.items()}


def _is_open(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("{") and value.endswith("}")


@pytest.fixture
def world(service: Service, tmp_path: Path) -> Iterator[World]:
    service.settings = service.settings.model_copy(update={"rate_limit": 0})
    for org in (OURS, "strangers"):
        organisations.create(service, OPERATOR, org)
    organisations.put_member(service, OPERATOR, OURS, "ann", Role.MEMBER)
    made = {
        name: keys.create(service, OPERATOR, org=org, role=role, label=name)
        for name, org, role in [
            ("viewer", OURS, Role.VIEWER),
            ("member", OURS, Role.MEMBER),
            ("admin", OURS, Role.ADMIN),
            ("stranger", "strangers", Role.ADMIN),
            ("operator", None, Role.ADMIN),
            ("spare", OURS, Role.VIEWER),
        ]
    }
    ids = {"org_id": OURS, "name": "ann", "run_id": RUN, "key_id": made["spare"][0].id, **_things(service, tmp_path)}
    with TestClient(create_app(service), base_url="http://localhost:8000", raise_server_exceptions=False) as client:
        secrets = {"nobody": None, **{name: secret for name, (_, secret) in made.items()}}
        found = World(client, secrets, ids)
        row = Row(Least.MEMBER, headers={"Tus-Resumable": "1.0.0", "Upload-Length": "3"})
        created = found.call("POST /api/uploads", row, "member")
        ids["upload_id"] = created.headers["Location"].rpartition("/")[2]
        row = Row(Least.MEMBER, files={"file": ("rows.jsonl", b'{"text": "Hello"}\n')})
        ids["dataset_id"] = found.call("POST /api/datasets/upload", row, "member").json()["id"]
        yield found


def _things(service: Service, folder: Path) -> dict[str, str]:
    """Store a job, its run, a file and a model."""
    data = folder / "rows.jsonl"
    data.write_text('{"text": "Hello"}\n')
    spec = JobSpec(
        model=ModelRef(source="someone/some-model"),
        datasets=[DatasetRef(uri=str(data))],
        output=Output(dir=str(folder / "out")),
    )
    job = queue.submit(service, queue.Submission(spec, door="api", org=OURS), OPERATOR)
    file = store_file(service, OPERATOR, org=OURS, name="rows.jsonl", purpose="fine-tune", chunks=[b"{}\n"])
    now = time.time()
    with service.database.write() as connection:
        run = stored_runs.StoredRun(
            id=RUN, job=job.id, org=OURS, kind="train", attempt=1, machine=service.settings.machine, device="cpu",
            slots=1, state=RunState.SUCCEEDED, reason=None, handle=None, exit=0, step=1, event_offset=0, event_seq=0,
            created_at=now, launched_at=now, heartbeat_at=now, ended_at=now, peak_memory=None,
        )  # fmt: skip
        stored_runs.add(connection, run)
        model = stored_models.Model(
            id="model-" + 24 * "0", org=OURS, name="their-model", kind="adapter", path=str(folder / "out"),
            **MODEL_FACTS, job=job.id, run=RUN, created_at=now,
        )  # fmt: skip
        stored_models.add(connection, model)
    jobs = dict.fromkeys(("job_id", "task_id", "training_id", "fine_tuning_job_id"), job.id)
    return {**jobs, "file_id": file.id, "model_id": model.id, "model": model.name}


MODEL_FACTS: dict[str, Any] = {
    "base": "someone/some-model", "base_fingerprint": "0" * 64, "parent": None, "recipe": {}, "data": {},
    "versions": {}, "metrics": {}, "bytes": 1,
}  # fmt: skip
"""What a model was made of; nothing here looks at it."""


def test_every_operation_has_a_row_and_every_row_an_operation(world: World) -> None:
    paths = world.client.get("/openapi.json").json()["paths"]
    there = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    assert there - set(ROWS) == set(), "operations without a row: add them to tests/api/authorisation"
    assert set(ROWS) - there == set(), "rows without an operation"


def test_whoever_may_not_is_refused_and_nothing_changes(world: World) -> None:
    wrong = []
    for operation, row in ROWS.items():
        for caller, status in _refusals(row):
            answer = world.call(operation, row, caller)
            if answer.status_code != status:
                wrong.append(f"{operation} by {caller}: {answer.status_code}, not {status}: {answer.text[:120]}")
            if caller == "stranger" and any(id in answer.text for id in _secret_ids(world)) and status != 404:
                wrong.append(f"{operation} shows a stranger what is not theirs")
    assert not wrong, "\n".join(wrong)
    assert world.call("GET /api/jobs/{job_id}", ROWS["GET /api/jobs/{job_id}"], "viewer").json()["state"] == "queued"


def _refusals(row: Row) -> Iterator[tuple[str, int]]:
    if row.least > Least.ANYBODY:
        yield "nobody", 401
    if row.stranger is not None:
        yield "stranger", row.stranger
    for caller, has in (("viewer", Least.VIEWER), ("member", Least.MEMBER), ("admin", Least.ADMIN)):
        if has < row.least:
            yield caller, 403


def _secret_ids(world: World) -> list[str]:
    return [world.ids[name] for name in ("job_id", "file_id", "model_id", "dataset_id", "upload_id")]


ORDER = ("HEAD", "OPTIONS", "GET", "POST", "PUT", "PATCH", "DELETE")
"""What changes least goes first."""


def test_whoever_may_is_let_in(world: World) -> None:
    wrong = []
    for operation in sorted(ROWS, key=lambda each: ORDER.index(each.split(" ")[0])):
        row = ROWS[operation]
        for caller in _let_in(row):
            answer = world.call(operation, row, caller)
            refused = answer.status_code in (401, 403) or answer.status_code >= 500
            if refused or (answer.status_code == 404 and operation.startswith("GET /api/jobs")):
                wrong.append(f"{operation} by {caller}: {answer.status_code} {answer.text[:160]}")
    assert not wrong, "\n".join(wrong)


def _let_in(row: Row) -> list[str]:
    least = {"viewer": Least.VIEWER, "member": Least.MEMBER, "admin": Least.ADMIN, "operator": Least.OPERATOR}
    return [] if row.streams else [caller for caller, has in least.items() if has >= row.least]


def test_a_stranger_sees_nothing_of_ours_in_lists(world: World) -> None:
    for operation, row in ROWS.items():
        if operation.startswith("GET") and "{" not in operation and row.stranger is None and not row.streams:
            text = world.call(operation, row, "stranger").text
            assert not any(id in text for id in _secret_ids(world)), operation
