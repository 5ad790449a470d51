"""Jobs as our own way in tells of them from plan to deletion, done by the scripted worker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fleet import until
from scripted_worker import WORKER
from tunesmith.executors.local import LocalExecutor
from tunesmith.service.context import Service
from tunesmith.service.supervisor.supervisor import Supervisor

STEPS = 3


@pytest.fixture
def spec(tiny_model: Path, chat_file: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "name": "greetings",
        "model": {"source": str(tiny_model)},
        "datasets": [{"uri": str(chat_file)}],
        "output": {"dir": str(tmp_path / "out")},
        "recipe": {"max_steps": STEPS, "epochs": 1000},
        "labels": {"does": "train"},
    }


@pytest.fixture
def done(client: TestClient, service: Service, spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A job that has succeeded, beside a supervisor."""
    stop = threading.Event()
    thread = threading.Thread(target=Supervisor(service, LocalExecutor(worker=WORKER)).run, args=(stop,))
    thread.start()
    id = client.post("/api/jobs", json={"spec": spec}).json()["id"]
    yield until(
        lambda: (now := client.get(f"/api/jobs/{id}").json())["state"] in ("succeeded", "failed") and now, "it ends"
    )
    stop.set()
    thread.join(timeout=20)


def test_a_plan_is_told_and_nothing_is_kept(client: TestClient, spec: dict[str, Any]) -> None:
    answer = client.post("/api/plans", json={"spec": spec})
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    assert plan["spec"]["recipe"]["max_steps"] == STEPS and plan["decisions"] and plan["memory"]
    assert client.get("/api/jobs").json()["jobs"] == []


def test_what_cannot_be_planned_is_one_sentence(client: TestClient, spec: dict[str, Any], tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"neither": 1}\n')
    for change, words in (
        ({"options": {"nothing": 1}}, "nothing"),
        ({"datasets": [{"uri": str(tmp_path / "missing.jsonl")}]}, "missing.jsonl"),
        ({"datasets": [{"uri": str(empty)}]}, "empty.jsonl"),
        ({"model": {"source": "no-such-model"}}, "no-such-model"),
    ):
        answer = client.post("/api/plans", json={"spec": {**spec, **change}})
        assert answer.status_code == 422 and words in answer.json()["error"]["message"], answer.text


def test_a_run_tells_what_it_printed_and_saved(client: TestClient, service: Service, done: dict[str, Any]) -> None:
    assert done["state"] == "succeeded" and done["plan"]["spec"]["name"] == "greetings" and done["done"] == 1
    [run] = done["runs"]
    path = f"/api/runs/{run['id']}"
    assert client.get(path).json() == run and run["job"] == done["id"] and run["exit"] == 0
    saved = client.get(f"{path}/checkpoints").json()["checkpoints"]
    assert [each["step"] for each in saved] == [1, 2, 3] and [each["last"] for each in saved] == [False, False, True]
    log = service.settings.runs_dir / run["id"] / "output.log"
    log.write_bytes(b"\x1b[31mred\x1b[0m\nstep 1\rstep 2\nlast\n")
    first = client.get(f"{path}/logs")
    assert first.text == "red\nstep 1\nstep 2\nlast\n" and first.headers["X-Next-Offset"] == str(log.stat().st_size)
    assert client.get(f"{path}/logs", params={"tail": 1}).text == "last\n"
    rest = client.get(f"{path}/logs", params={"offset": log.stat().st_size})
    assert rest.text == "" and rest.headers["X-Next-Offset"] == first.headers["X-Next-Offset"]
    stream = client.get(f"{path}/logs/stream", params={"after": log.stat().st_size - len("last\n")}).text
    assert 'data: "last\\n"' in stream and stream.rstrip().endswith("event: end\ndata: null")


def test_a_job_is_deleted_with_its_runs_once_nothing_needs_them(
    client: TestClient, service: Service, done: dict[str, Any], spec: dict[str, Any]
) -> None:
    path, [run] = f"/api/jobs/{done['id']}", done["runs"]
    refused = client.delete(path)
    assert refused.status_code == 409 and "Delete the model first" in refused.json()["error"]["message"]
    [model] = client.get("/api/models", params={"job": done["id"]}).json()["models"]
    assert client.delete(f"/api/models/{model['id']}").status_code == 200
    assert client.delete(path).json() == {"id": done["id"], "deleted": True}
    for gone in (path, f"{path}/events", f"/api/runs/{run['id']}", f"/api/runs/{run['id']}/logs"):
        assert client.get(gone).status_code == 404
    assert list(service.settings.runs_dir.iterdir()) == []
    assert (Path(spec["output"]["dir"]) / "steps.txt").read_text() == str(STEPS), "what it published stays"
    assert client.delete(path).status_code == 404


def test_a_job_that_is_not_over_is_not_deleted(client: TestClient, spec: dict[str, Any]) -> None:
    id = client.post("/api/jobs", json={"spec": spec}).json()["id"]
    answer = client.delete(f"/api/jobs/{id}")
    assert answer.status_code == 409 and "Cancel it first" in answer.json()["error"]["message"]
    client.post(f"/api/jobs/{id}/cancel")
    assert client.delete(f"/api/jobs/{id}").status_code == 200


def test_a_job_that_waits_is_resumed_with_larger_limits_and_stays_readable(
    client: TestClient, spec: dict[str, Any]
) -> None:
    id = client.post("/api/jobs", json={"spec": spec}).json()["id"]
    client.post(f"/api/jobs/{id}/pause")
    wrong = ({"epochs": 1e6}, {"cycles": None}, {"cycles": 10**6}, {"max_steps": 2**60}, {"batch": 2})
    assert [client.post(f"/api/jobs/{id}/resume", json=body).status_code for body in wrong] == [422] * len(wrong)
    assert client.post(f"/api/jobs/{id}/resume", json={"max_steps": 7, "epochs": None}).json()["state"] == "queued"
    recipe = client.get(f"/api/jobs/{id}").json()["spec"]["recipe"]
    assert (recipe["max_steps"], recipe["epochs"]) == (7, None)
