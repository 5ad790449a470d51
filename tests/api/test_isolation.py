"""Two organisations with keys of their own on one server: whatever either names or listens to, it meets only its own.

Routes that name an id are in the table of ``test_authorisation.py``; here is what that table cannot hold: streams,
sockets, words inside of a body, and words in a query.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from api.test_authorisation import MODEL_FACTS
from in_thread import served
from jobs_by_hand import bring
from tunesmith.api.app import create_app
from tunesmith.api.routes.sockets import NO_SUCH_TASK
from tunesmith.service.accounts import keys, organisations
from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import OPERATOR, Role
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.spec.ids import job_id_of
from tunesmith.spec.states import RunState
from tunesmith.store import models as stored_models

ORGS = ("acme", "other")
HERE = "http://localhost:8000"
SOCKETS = "ws://localhost:8000"
ROWS = b'{"text": "Hello"}\n'


@dataclass
class Side:
    """One organisation, with one of everything."""

    http: TestClient
    org: str
    secret: str

    def __post_init__(self) -> None:
        self.headers = {"X-API-Key": self.secret}
        self.file = self.send("POST", "/v1/files", files={"file": ("a.jsonl", ROWS)}, data={"purpose": "fine-tune"})
        self.dataset = self.send("POST", "/api/datasets/upload", files={"file": ("a.jsonl", ROWS)})
        self.job = str(self.submit()["id"])

    def send(self, method: str, path: str, **rest: Any) -> Any:
        answer = self.http.request(method, path, headers=self.headers, **rest)
        assert answer.is_success, answer.text
        return answer.json()

    def refused(self, method: str, path: str, **rest: Any) -> tuple[int, str]:
        answer = self.http.request(method, path, headers=self.headers, **rest)
        assert 400 <= answer.status_code < 500, f"{path} {rest}: {answer.status_code} {answer.text}"
        return answer.status_code, answer.text

    def submit(self, **spec: Any) -> Any:
        return self.send("POST", "/api/jobs", json={"spec": self.spec(**spec)})

    def spec(self, **spec: Any) -> dict[str, Any]:
        datasets = [{"uri": f"dataset:{self.dataset['id']}"}]
        return {"model": {"source": "someone/some-model"}, "datasets": datasets, **spec}


@pytest.fixture
def sides(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Side, Side]]:
    monkeypatch.chdir(tmp_path)
    for org in ORGS:
        organisations.create(service, OPERATOR, org)
    with TestClient(create_app(service), base_url=HERE) as http:
        made = [keys.create(service, OPERATOR, org=org, role=Role.ADMIN)[1] for org in ORGS]
        acme, other = (Side(http, org, secret) for org, secret in zip(ORGS, made, strict=True))
        yield acme, other


def test_the_stream_of_all_events_tells_an_organisation_its_own(service: Service, sides: tuple[Side, Side]) -> None:
    acme, other = sides
    with served(service) as url, httpx.Client(base_url=url, headers={"Authorization": f"Bearer {acme.secret}"}) as http:
        with http.stream("GET", "/api/events", params={"after": 0}, timeout=30) as stream:
            heard = (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))
            first = next(heard)
            for side in (other, acme, other, acme):  # Said while it listens.
                side.submit()
            told = [first, next(heard), next(heard)]
        assert [event["org"] for event in told] == ["acme"] * 3 and first["job"] == acme.job
        assert http.get("/api/events", params={"org": "other"}).status_code == 403
        assert http.get(f"/api/jobs/{other.job}/stream").status_code == 404


def test_a_socket_tells_an_organisation_its_own(service: Service, sides: tuple[Side, Side]) -> None:
    acme, other = sides
    theirs, ours = str(job_id_of(other.job)), str(job_id_of(acme.job))
    protocols = ["tunesmith", f"bearer.{acme.secret}"]
    with acme.http.websocket_connect(f"{SOCKETS}/ws/training", subprotocols=protocols) as socket:
        assert socket.accepted_subprotocol == "tunesmith"
        assert socket.receive_json()["type"] == "connected"
        bring(service, theirs, RunState.PREPARING)
        bring(service, ours, RunState.PREPARING)
        assert socket.receive_json()["task_id"] == ours
        socket.send_json({"type": "subscribe", "task_id": theirs})
        said = socket.receive_json()
        assert said["type"] == "error" and theirs in said["error"]
    with acme.http.websocket_connect(f"{SOCKETS}/ws/training/{theirs}", subprotocols=protocols) as socket:
        assert socket.receive_json()["type"] == "error"
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == NO_SUCH_TASK


@pytest.mark.parametrize("protocols", [[], ["tunesmith"], ["bearer.ts_nothing"]])
def test_a_socket_without_a_key_is_refused(sides: tuple[Side, Side], protocols: list[str]) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        sides[0].http.websocket_connect(f"{SOCKETS}/ws/training", subprotocols=protocols),
    ):
        pass
    assert refused.value.status_code == 401


def _model_of(service: Service, side: Side) -> str:
    with service.database.write() as connection:
        place = organisation_folder(service.settings, side.org) / "saved_models" / "theirs"
        model = stored_models.Model(
            id=f"model-{side.org}", org=side.org, name="theirs", kind="full", path=str(place), **MODEL_FACTS,
            job=job_id_of(side.job), run=None, created_at=1.0,
        )  # fmt: skip
        stored_models.add(connection, model)
    return model.id


WORDS: dict[str, Callable[[Service, Side], tuple[list[str], list[str]]]] = {
    "data": lambda service, of: (
        [
            f"file:{of.file['id']}",
            f"dataset:{of.dataset['id']}",
            f"../{of.org}/data/files/{of.file['id']}/a.jsonl",
            str(organisation_folder(service.settings, of.org) / "data" / "files" / of.file["id"] / "a.jsonl"),
            str(organisation_folder(service.settings, of.org)),
            str(organisation_folder(service.settings, of.org) / "data" / "*" / "*" / "*.jsonl"),
        ],
        [],
    ),
    "model": lambda service, of: (
        [],
        [
            f"model:{_model_of(service, of)}",
            f"run:{of.job}",
            f"run:{job_id_of(of.job)}",
            f"../{of.org}/saved_models/theirs",
            str(organisation_folder(service.settings, of.org) / "saved_models" / "theirs"),
        ],
    ),
}
"""Words for another organisation's data and models, as a body may hold them."""


@pytest.mark.parametrize("kind", WORDS)
def test_no_word_in_a_body_means_what_is_anothers(service: Service, sides: tuple[Side, Side], kind: str) -> None:
    acme, other = sides
    data, models = WORDS[kind](service, other)
    before = len(queue.listed(service, queue.Wanted(limit=1000), OPERATOR))
    own = acme.dataset["id"]
    for uri in data:
        bare = uri.partition(":")[2] or uri
        acme.refused("POST", "/api/jobs", json={"spec": acme.spec(datasets=[{"uri": uri}])})
        acme.refused("POST", "/api/plans", json={"spec": acme.spec(datasets=[{"uri": uri}])})
        acme.refused("POST", "/api/datasets", json={"name": "mine", "uri": uri})
        acme.refused("POST", "/train", json={"category": "LangText", "dataset_path": bare})
        body = {"base_model": "someone/some-model", "dataset_path": bare}
        acme.refused("POST", "/api/llm-finetuning/lora/start", json=body)
        acme.refused("POST", "/v1/fine_tuning/jobs", json={"model": "someone/some-model", "training_file": bare})
    for source in models:
        acme.refused("POST", "/api/jobs", json={"spec": acme.spec(model={"source": source})})
        acme.refused("POST", "/api/plans", json={"spec": acme.spec(model={"source": source})})
        acme.refused("POST", f"/api/datasets/{own}/check", json={"model": source})
        acme.refused("POST", f"/api/datasets/{own}/preview", json={"model": source})
        body = {"base_model": source, "dataset_path": own}
        acme.refused("POST", "/api/llm-finetuning/lora/start", json=body)
        acme.refused("POST", "/v1/fine_tuning/jobs", json={"model": source, "training_file": acme.file["id"]})
        turns = [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Hey!"}]
        acme.refused(
            "POST", "/api/v1/training/start", json={"base_model": source, "conversations": [{"messages": turns}]}
        )
    assert len(queue.listed(service, queue.Wanted(limit=1000), OPERATOR)) == before


def test_no_result_is_written_to_another_organisation(service: Service, sides: tuple[Side, Side]) -> None:
    acme, other = sides
    there = organisation_folder(service.settings, other.org)
    for place in (f"../{other.org}/out", str(there / "out"), str(there), "~/out", "/tmp/out"):
        acme.refused("POST", "/api/jobs", json={"spec": acme.spec(output={"dir": place})})
        acme.refused(
            "POST", "/train",
            json={"category": "LangText", "dataset_path": acme.file["id"], "output_dir": place},
        )  # fmt: skip


def test_whoever_names_another_organisation_is_refused(sides: tuple[Side, Side]) -> None:
    acme, other = sides
    for noun in ("jobs", "runs", "datasets", "models", "keys", "events"):
        assert acme.refused("GET", f"/api/{noun}", params={"org": other.org})[0] == 403
    for path, body in (
        ("/api/jobs", {"spec": acme.spec(), "org": other.org}),
        ("/api/plans", {"spec": acme.spec(), "org": other.org}),
        ("/api/datasets", {"name": "a", "uri": f"file:{acme.file['id']}", "org": other.org}),
        ("/api/keys", {"org": other.org, "role": "viewer"}),
        ("/api/v1/training/start", {"org_id": other.org, "conversations": [{"messages": []}]}),
    ):
        assert acme.refused("POST", path, json=body)[0] in (403, 422)
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "3", **acme.headers}
    assert acme.http.post("/api/uploads", params={"org": other.org}, headers=tus).status_code == 403
    files = {"file": ("a.jsonl", ROWS)}
    assert acme.refused("POST", "/api/datasets/upload", files=files, data={"org": other.org})[0] == 403


def test_a_query_for_what_is_anothers_finds_nothing(sides: tuple[Side, Side]) -> None:
    acme, other = sides
    assert acme.refused("GET", "/api/runs", params={"job": other.job})[0] == 404
    assert acme.send("GET", "/api/models", params={"job": other.job})["models"] == []
    assert acme.refused("GET", "/api/datasets", params={"after": other.dataset["id"]})[0] == 404
    assert acme.refused("GET", "/v1/files", params={"after": other.file["id"]})[0] == 404
    assert [job["id"] for job in acme.send("GET", "/api/jobs", params={"before": 10**9})["jobs"]] == [acme.job]


def test_a_retrys_key_is_each_organisations_own(sides: tuple[Side, Side]) -> None:
    ids = []
    for side in sides:
        side.headers["Idempotency-Key"] = "the same"
        ids.append(side.submit(name="mine")["id"])
    assert ids[0] != ids[1]


def test_every_way_to_send_a_key_counts_and_a_wrong_one_opens_nothing(sides: tuple[Side, Side]) -> None:
    acme, _ = sides
    for headers in ({"Authorization": f"Bearer {acme.secret}"}, {"X-API-Key": acme.secret}):
        assert acme.http.get("/api/jobs", headers=headers).json()["jobs"][0]["org"] == "acme"
    for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer"}):
        assert acme.http.get("/api/jobs", headers=headers).status_code == 401
