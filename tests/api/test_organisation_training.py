"""The organisations' API: what its document prints works, and nobody sees what is not theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs_by_hand import bring
from tunesmith.api.app import create_app
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.spec.recipe import Method
from tunesmith.spec.states import RunState
from tunesmith.store import jobs as stored_jobs
from tunesmith.store import models as stored_models

MESSAGES = [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Hey! How are you?"}]
ANSWER = {"role": "assistant", "content": "Fine."}


@pytest.fixture
def http(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.chdir(tmp_path)
    with TestClient(create_app(service), base_url="http://localhost:8000") as client:
        yield client


def start(http: TestClient, model: Path, **fields: Any) -> dict[str, Any]:
    body = {"org_id": "org_123", "base_model": str(model), "conversations": [{"messages": MESSAGES}], **fields}
    answer = http.post("/api/v1/training/start", json=body)
    assert answer.status_code == 200, answer.text
    started: dict[str, Any] = answer.json()
    return started


def finish(service: Service, training: str, loss: float | None = 1.5) -> None:
    """Bring a job to its end as the supervisor would: with a model and a summary."""
    job = queue.get(service, training, OPERATOR)
    with service.database.write() as connection:
        now = service.database.now(connection)
        stored_jobs.move(connection, job.id, RunState.PREPARING)
        stored_jobs.move(connection, job.id, RunState.RUNNING, started_at=now)
        summary = {"best_validation_loss": loss, "train_loss": 1.0, "steps": 3}
        stored_jobs.move(connection, job.id, RunState.SUCCEEDED, ended_at=now, result={"summary": summary})
        stored_models.add(
            connection,
            stored_models.Model(
                id=f"model-{job.id}", org=job.org, name=job.name, kind="adapter", path=job.spec.output.dir, job=job.id,
                run=None, base=job.spec.model.source, base_fingerprint=None, parent=None, recipe={}, data={},
                versions={}, metrics={}, bytes=1, created_at=now,
            ),
        )  # fmt: skip


def rows(service: Service, training: str) -> list[dict[str, Any]]:
    """The rows that a training learns from."""
    job = queue.get(service, training, OPERATOR)
    return [json.loads(line) for line in Path(job.spec.datasets[0].uri).read_text().splitlines()]


def test_the_documented_call_queues_a_training(http: TestClient, service: Service, tiny_model: Path, tmp_path: Path):
    started = start(http, tiny_model, conversations=[{"messages": MESSAGES, "platform": "discord"}])
    assert started["training_id"].startswith("train_") and len(started["training_id"]) == 18
    assert {name: started[name] for name in ("org_id", "status", "progress")} == {
        "org_id": "org_123", "status": "queued", "progress": 0.0,
    }  # fmt: skip
    job = queue.get(service, started["training_id"], OPERATOR)
    assert job.spec.output.dir == str(tmp_path / "models" / "finetuned" / "org_123" / started["training_id"])
    assert job.spec.suggested["recipe.method"] == Method.QLORA
    assert job.spec.suggested["recipe.adapter.targets"] == ["q_proj", "v_proj"]
    assert job.spec.evaluation.validation_split is None, "one conversation is no typed split that cannot be met"
    assert http.get(f"/api/v1/training/status/{started['training_id']}").json()["metadata"]["warnings"]


def test_only_what_people_answered_is_learned(http: TestClient, service: Service, tiny_model: Path):
    messages = [*MESSAGES, {"role": "user", "content": "And you?"}, {**ANSWER, "wasAIGenerated": True}, *MESSAGES]
    started = start(http, tiny_model, conversations=[{"messages": messages}])
    assert [message.get("weight") for message in rows(service, started["training_id"])[0]["messages"]] == [
        None, 1, None, 0, None, 1,
    ]  # fmt: skip
    assert started["metadata"]["data"]["context_answers"] == 1


def test_settings_of_the_environment_file_are_defaults_that_a_request_overrides(
    http: TestClient, service: Service, tiny_model: Path, tmp_path: Path
):
    (tmp_path / ".env").write_text("LORA_R=4   # rank\nBATCH_SIZE=2\nUSE_4BIT=false\nNUM_TRAIN_EPOCHS=7\nFOREIGN=1\n")
    job = queue.get(service, start(http, tiny_model, num_epochs=2)["training_id"], OPERATOR)
    assert job.spec.suggested["recipe.adapter.rank"] == 4 and job.spec.suggested["recipe.batch.size"] == 2
    assert job.spec.suggested["recipe.method"] == "lora"
    assert job.spec.recipe.epochs == 2 and "recipe.epochs" not in job.spec.suggested


def test_a_setting_that_does_something_else_is_said(http: TestClient, tiny_model: Path, tmp_path: Path):
    (tmp_path / ".env").write_text("LOGGING_STEPS=50\n")
    assert "LOGGING_STEPS" in str(start(http, tiny_model)["metadata"]["warnings"])


@pytest.mark.parametrize("line", ["LORA_R=many", "VALIDATION_SPLIT=2", "BNB_4BIT_QUANT_TYPE=nf5"])
def test_a_wrong_setting_is_named(http: TestClient, tiny_model: Path, tmp_path: Path, line: str):
    (tmp_path / ".env").write_text(line + "\n")
    body = {"base_model": str(tiny_model), "conversations": [{"messages": MESSAGES}]}
    answer = http.post("/api/v1/training/start", json=body)
    assert answer.status_code == 422 and line.split("=")[0] in answer.json()["detail"]


def test_too_few_answers_are_refused_where_a_least_number_is_set(
    http: TestClient, service: Service, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MIN_TRAINING_SAMPLES", "2")
    body = {"base_model": str(tiny_model), "conversations": [{"messages": MESSAGES}]}
    answer = http.post("/api/v1/training/start", json=body)
    assert answer.status_code == 422 and "MIN_TRAINING_SAMPLES" in answer.json()["detail"]
    assert not list(service.settings.home.rglob("*.jsonl")), "what is refused is not kept"


@pytest.mark.parametrize(
    "change",
    [
        {"org_id": "../../etc"},
        {"org_id": 7},
        {"org_id": ""},
        {"conversations": []},
        {"conversations": [{"messages": [ANSWER]}]},
        {"conversations": [{"messages": [{"role": "user", "content": ["Hello"]}]}]},
        {"conversations": [{"messages": [{**entry, "is_ai": True} for entry in MESSAGES]}]},
        {"conversations": "Hello"},
        {"validation_split": 0.1},
        {"validation_split": 1.5},
        {"num_epochs": 0},
        {"base_model": "../nothing"},
        {"base_modell": "x"},
    ],
)
def test_a_wrong_request_is_refused_in_a_sentence(http: TestClient, tiny_model: Path, change: dict[str, Any]):
    body = {"org_id": "org_123", "base_model": str(tiny_model), "conversations": [{"messages": MESSAGES}], **change}
    answer = http.post("/api/v1/training/start", json=body)
    assert answer.status_code == 422 and answer.json()["detail"][-1] in ".?", answer.text
    assert http.get("/api/v1/training/jobs/org_123").json()["jobs"] == []


def test_trainings_are_listed_page_by_page(http: TestClient, tiny_model: Path):
    made = [start(http, tiny_model)["training_id"] for _ in range(3)][::-1]
    page = http.get("/api/v1/training/jobs/org_123?limit=2").json()
    assert [job["training_id"] for job in page["jobs"]] == made[:2] and page["has_more"]
    rest = http.get(f"/api/v1/training/jobs/org_123?limit=2&before={made[1]}").json()
    assert [job["training_id"] for job in rest["jobs"]] == made[2:] and not rest["has_more"]


def test_a_queued_training_is_cancelled_once(http: TestClient, tiny_model: Path):
    path = f"/api/v1/training/jobs/{start(http, tiny_model)['training_id']}"
    assert http.delete(path).json()["status"] == "cancelled"
    again = http.delete(path)
    assert again.status_code == 409 and "cancelled" in again.json()["detail"]


def test_a_finished_training_tells_loss_and_perplexity(http: TestClient, service: Service, tiny_model: Path):
    id = start(http, tiny_model)["training_id"]
    finish(service, id, loss=1.5)
    done = http.get(f"/api/v1/training/status/{id}").json()
    assert done["status"] == "completed" and done["progress"] == 1.0 and done["completed_at"]
    assert done["metadata"]["validation_loss"] == 1.5
    assert done["metadata"]["perplexity"] == pytest.approx(4.4817, abs=1e-4)


def test_a_training_on_pictures_tells_no_perplexity_and_no_tokens(http: TestClient, service: Service, tiny_model: Path):
    id = start(http, tiny_model)["training_id"]
    progress = {"step": 3, "tokens_per_second": 900.0, "rows_per_second": 4.5, "counts": "picture"}
    summary = {"best_validation_loss": 0.5, "trained_tokens": 77, "counts": "picture"}
    bring(service, id, RunState.SUCCEEDED, progress=progress, result={"summary": summary})
    told = http.get(f"/api/v1/training/status/{id}").json()["metadata"]
    assert told["pictures_per_second"] == 4.5
    assert told["validation_loss"] == 0.5
    assert not {"perplexity", "tokens_per_second", "trained_tokens"} & told.keys()


def test_the_latest_model_is_the_newest_that_succeeded(http: TestClient, service: Service, tiny_model: Path):
    assert http.get("/api/v1/models/org_123/info").status_code == 404
    first = start(http, tiny_model)["training_id"]
    finish(service, first)
    start(http, tiny_model)
    cancelled = start(http, tiny_model)["training_id"]
    http.delete(f"/api/v1/training/jobs/{cancelled}")
    found = http.get("/api/v1/models/org_123/info").json()
    assert found["model_path"].endswith(f"models/finetuned/org_123/{first}") and not found["loaded"]
    listed = http.get("/api/v1/models/org_123/list").json()
    assert [model["model_id"] for model in listed["models"]] == [first] and listed["count"] == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/generate?org_id=org_123", {"message": "Tell me a joke", "temperature": 0.8, "max_tokens": 100}),
        ("/api/v1/models/load?org_id=org_123", None),
        ("/api/v1/models/unload?org_id=org_123", None),
    ],
)
def test_an_organisation_without_a_model_is_told_so(http: TestClient, path: str, body: dict[str, Any] | None):
    missing = http.post(path, json=body)
    assert missing.status_code == 404 and "org_123" in missing.json()["detail"]


def test_health_tells_what_there_is_to_compute_with(http: TestClient):
    assert http.get("/api/v1/health").json() == {
        "status": "healthy", "cuda_available": False, "cuda_device_count": 0, "loaded_models": [],
    }  # fmt: skip


@pytest.mark.parametrize("id", ["train_000000000000", "..%2f..%2fetc", "x" * 500])
def test_an_unknown_training_is_not_found(http: TestClient, id: str):
    assert http.get(f"/api/v1/training/status/{id}").status_code == 404
    assert http.delete(f"/api/v1/training/jobs/{id}").status_code == 404
