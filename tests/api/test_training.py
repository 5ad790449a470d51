from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from data.drawn import draw_into, zipped
from jobs_by_hand import bring, job_of
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


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    """A folder as the document lays it out."""
    names = [f"{side}/{name}/{n}.png" for side in ("train", "val") for name in ("class_1", "class_2") for n in (1, 2)]
    return str(draw_into(tmp_path / "my_images", names))


def test_the_printed_call_becomes_the_job_that_it_describes(
    client: TestClient, service: Service, pictures: str
) -> None:
    answer = client.post("/api/training/start", json={**PRINTED, "dataset_path": pictures})
    assert answer.status_code == 200, answer.text
    spec = job_of(service, answer.json()["task_id"]).spec
    assert (spec.task, spec.model.source, spec.datasets[0].uri) == ("image-classification", "resnet50", pictures)
    assert (spec.recipe.epochs, spec.recipe.batch.size, spec.recipe.learning_rate) == (15, 16, 1e-4)
    [row] = client.get("/api/training/tasks").json()
    assert (row["model_type"], row["base_model"], row["dataset_path"]) == ("image_classifier", "resnet50", pictures)
    assert client.get("/jobs").json()[0]["category"] == "Vision"


@pytest.mark.parametrize(
    ("model_type", "task", "rank"),
    [("object_detector", "object-detection", None), ("text_to_image", "text-to-image", 4)],
)
def test_each_type_of_model_is_a_task(
    client: TestClient, service: Service, pictures: str, model_type: str, task: str, rank: int | None
) -> None:
    body = {"model_type": model_type, "base_model": "someone/some-model", "dataset_path": pictures}
    answer = client.post("/api/training/start", json=body).json()
    job = job_of(service, answer["task_id"])
    assert (job.spec.task, job.spec.suggested.get("recipe.adapter.rank")) == (task, rank)
    assert client.get(f"/api/training/status/{answer['task_id']}").json()["model_type"] == model_type


def test_measures_have_the_documented_names(client: TestClient, service: Service, pictures: str) -> None:
    id = client.post("/api/training/start", json={**PRINTED, "dataset_path": pictures}).json()["task_id"]
    bring(service, id, RunState.RUNNING, progress={"metrics": {"accuracy": 0.9, "macro_f1": 0.8}})
    assert client.get(f"/api/training/status/{id}").json()["metrics"] == {"accuracy": 0.9, "f1_score": 0.8}


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
    assert answer.status_code == 422 and "images.zip" in answer.json()["message"]
    assert not list(home.rglob("*.zip"))


@pytest.mark.parametrize(
    ("path", "task", "model", "suggested"),
    [
        ("image-classifier", "image-classification", "google/vit-base-patch16-224",
         {"recipe.epochs": 10, "recipe.batch.size": 8, "recipe.learning_rate": 5e-5}),
        ("object-detection", "object-detection", "rt-detr", {"recipe.epochs": 100, "recipe.batch.size": 16}),
    ],
)  # fmt: skip
def test_a_form_brings_its_data_and_has_the_documented_defaults(
    client: TestClient, service: Service, tmp_path: Path, path: str, task: str, model: str, suggested: dict[str, Any]
) -> None:
    archive = zipped(tmp_path / "set.zip", ["train/a/1.png", "train/b/1.png", "val/a/2.png", "val/b/2.png"])
    extra = {"num_labels": "2"} if path == "image-classifier" else {"base_model": model}
    answer = client.post(f"/api/training/{path}", data=extra, files={"dataset": ("set.zip", archive.read_bytes())})
    assert answer.status_code == 200, answer.text
    job = job_of(service, answer.json()["task_id"])
    assert (job.spec.task, job.spec.model.source) == (task, model) and suggested.items() <= job.spec.suggested.items()
    assert sorted(file.name for file in Path(job.spec.datasets[0].uri).rglob("*.png")) == [
        "1.png",
        "1.png",
        "2.png",
        "2.png",
    ]
    said = "num_labels 2 of the request gives way to the classes in the data."
    assert job.warnings == ([said] if "num_labels" in extra else [])


def test_a_detector_of_ultralytics_is_refused_with_what_does_the_same(
    client: TestClient, tmp_path: Path, home: Path
) -> None:
    archive = zipped(tmp_path / "set.zip", ["train/a/1.png", "train/b/1.png"])
    answer = client.post("/api/training/object-detection", files={"dataset": ("set.zip", archive.read_bytes())})
    assert answer.status_code == 422 and "rt-detr" in answer.json()["message"]
    assert not list(home.rglob("*.png"))


def test_samples_of_an_upload_are_its_pictures(client: TestClient, tmp_path: Path) -> None:
    archive = zipped(
        tmp_path / "set.zip", [f"{side}/{name}/{n}.png" for side in ("train", "val") for name in "ab" for n in "12"]
    )
    form = {"files": {"file": ("set.zip", archive.read_bytes())}, "data": {"type": "image_classifier"}}
    made = client.post("/api/training/datasets/upload", **form).json()
    assert (made["type"], made["samples"]) == ("image_classifier", 8)


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
    assert {row["id"] for row in detectors} >= {"rt-detr", "d-fine", "yolov8n", "yolov8s"}


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
