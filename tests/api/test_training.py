from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs_by_hand import bring
from tunesmith.api.doors import images
from tunesmith.runs.folder import RunFolder
from tunesmith.service.context import Service
from tunesmith.spec.states import RunState

PRINTED = {
    "model_type": "image_classifier",
    "base_model": "resnet50",
    "dataset_path": "/datasets/my_images",
    "epochs": 15,
    "batch_size": 16,
    "learning_rate": 0.0001,
}
ROWS = (json.dumps({"instruction": "Hello", "response": "Bonjour"}) + "\n") * 3


@pytest.fixture
def task(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Queues a task and returns its id."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.jsonl").write_text(ROWS)
    body = {"base_model": "phi-2", "dataset_path": "train.jsonl"}
    return lambda: client.post("/api/llm-finetuning/lora/start", json=body).json()["task_id"]


def test_the_printed_call_is_refused_with_what_can_be_trained(client: TestClient) -> None:
    answer = client.post("/api/training/start", json=PRINTED)
    assert answer.status_code == 422 and answer.json()["error"] == "not_installed"
    assert answer.json()["message"].startswith("An image classifier cannot be trained")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model_type": "llm"}, "model_type"),
        ({"epochs": 101}, "epochs"),
        ({"learning_rate": 0.11}, "learning_rate"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"base_model": None}, "base_model"),
        ({"image_size": 224}, "image_size"),
    ],
)
def test_a_request_is_read_before_it_is_refused(client: TestClient, change: dict[str, Any], field: str) -> None:
    answer = client.post("/api/training/start", json={**PRINTED, **change})
    assert answer.status_code == 422 and field in answer.json()["message"]


def test_every_field_stands_in_the_job(client: TestClient) -> None:
    more = {"save_steps": 50, "eval_steps": 25, "warmup_steps": 10, "weight_decay": 0.1, "max_grad_norm": 2, "seed": 7}
    request = images.ImageJob.model_validate({**PRINTED, **more})
    spec = images.submission(request, request.model_type, request.dataset_path).spec
    assert (spec.task, spec.model.source, spec.seed) == ("image-classification", "resnet50", 7)
    recipe = spec.recipe
    assert (recipe.epochs, recipe.batch.size, recipe.learning_rate, recipe.warmup_steps) == (15, 16, 1e-4, 10)
    assert (recipe.checkpoints.every_steps, recipe.evaluate_every) == (50, 25)
    assert (recipe.weight_decay, recipe.max_grad_norm) == (0.1, 2)
    assert spec.suggested == {"recipe.method": "full", "recipe.batch.accumulation": 1}


@pytest.mark.parametrize("path", ["image-classifier", "object-detection"])
def test_a_form_is_refused_and_nothing_of_it_kept(client: TestClient, path: str, home: Path) -> None:
    archive = {"dataset": ("images.zip", b"PK")}
    assert "epochs" in client.post(f"/api/training/{path}", data={"epochs": "0"}, files=archive).json()["message"]
    answer = client.post(f"/api/training/{path}", data={"epochs": "10", "batch_size": "8"}, files=archive)
    assert answer.status_code == 422 and answer.json()["error"] == "not_installed"
    assert not list(home.rglob("*.zip"))


def test_tasks_that_are_over_are_history_page_by_page(client: TestClient, service: Service, task: Any) -> None:
    ids = [task() for _ in range(4)][::-1]
    for id in ids[1:]:
        bring(service, id, RunState.CANCELLED, reason="cancelled")
    assert [row["task_id"] for row in client.get("/api/training/tasks").json()] == ids
    first = client.get("/api/training/history", params={"limit": 2}).json()
    assert [row["task_id"] for row in first] == ids[1:3] and {row["status"] for row in first} == {"cancelled"}
    rest = client.get("/api/training/history", params={"limit": 2, "before": first[-1]["task_id"]}).json()
    assert [row["task_id"] for row in rest] == ids[3:]


def test_models_are_listed_by_type(client: TestClient) -> None:
    found = {row["id"]: row for row in client.get("/api/training/models").json()}
    assert {"resnet50", "efficientnet-b0", "yolov8n", "yolov8s", "sd-v1-5"} <= set(found) and "phi-2" not in found
    detectors = client.get("/api/training/models", params={"model_type": "object_detector"}).json()
    assert {row["id"] for row in detectors} == {"yolov8n", "yolov8s"}


def test_a_data_set_is_uploaded_listed_used_and_removed(client: TestClient) -> None:
    fields, files = {"name": "mine", "type": "text"}, {"file": ("../../rows.jsonl", ROWS)}
    made = client.post("/api/training/datasets/upload", data=fields, files=files).json()
    assert {name: made[name] for name in ("name", "type", "size", "samples")} == {
        "name": "mine", "type": "text", "size": len(ROWS), "samples": 3,
    }  # fmt: skip
    assert client.get("/api/training/datasets").json() == [made]
    body = {"base_model": "phi-2", "dataset_path": made["id"]}
    task = client.post("/api/llm-finetuning/lora/start", json=body).json()["task_id"]
    assert client.delete(f"/api/training/datasets/{made['id']}").status_code == 409
    client.post(f"/api/training/stop/{task}")
    assert client.delete(f"/api/training/datasets/{made['id']}").json()["success"] is True
    assert client.delete(f"/api/training/datasets/{made['id']}").status_code == 404


@pytest.mark.parametrize("id", ["..%2F..%2Fetc", "dataset-..", "x"])
def test_only_data_sets_are_removed(client: TestClient, id: str) -> None:
    assert client.delete(f"/api/training/datasets/{id}").status_code == 404


def test_a_result_is_fetched_as_a_zip_file(client: TestClient, service: Service, task: Any) -> None:
    id = task()
    assert client.get(f"/api/training/download/{id}").status_code == 409
    run = RunFolder.create(service.settings.home, kind="train", name="run")
    (run.artifacts_dir / "adapter_model.safetensors").write_bytes(b"weights")
    bring(service, id, RunState.SUCCEEDED, run=run.id)
    answer = client.get(f"/api/training/download/{id}")
    assert answer.headers["content-type"] == "application/zip" and f"{id}.zip" in answer.headers["content-disposition"]
    assert zipfile.ZipFile(io.BytesIO(answer.content)).read("adapter_model.safetensors") == b"weights"


def test_the_words_of_every_state(client: TestClient, service: Service, task: Any) -> None:
    words = {
        RunState.PREPARING: "running", RunState.RUNNING: "running", RunState.PAUSED: "pending",
        RunState.SUCCEEDED: "completed", RunState.FAILED: "failed", RunState.CANCELLED: "cancelled",
    }  # fmt: skip
    for state, word in words.items():
        id = task()
        bring(service, id, state, reason="because", error={"code": "x", "message": "It broke.", "todo": "Mend it."})
        shown = client.get(f"/api/training/status/{id}").json()
        assert (shown["status"], shown["reason"], shown["error"]) == (word, "because", "It broke. Mend it.")
        assert shown["progress"] == (100.0 if state is RunState.SUCCEEDED else 0.0)
