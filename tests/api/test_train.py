from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs_by_hand import STARTED, STEP, bring, job_of, say
from tunesmith.service.context import Service
from tunesmith.service.jobs import installed
from tunesmith.spec.job import Device
from tunesmith.spec.states import RunState

PRINTED = {
    "category": "LangText",
    "model_name": "microsoft/DialoGPT-medium",
    "dataset_path": "data/llm_training/LangText/langtext_data.jsonl",
    "output_dir": "saved_models/LangText",
    "gpu": True,
    "epochs": 3,
    "batch_size": 8,
    "learning_rate": 0.00002,
}
LEAST = {"category": "LangText", "dataset_path": PRINTED["dataset_path"]}


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    data = tmp_path / str(PRINTED["dataset_path"])
    data.parent.mkdir(parents=True)
    data.write_text(json.dumps({"text": "Hello"}) + "\n")
    return tmp_path


def post(client: TestClient, body: dict[str, Any], expect: int = 200) -> Any:
    answer = client.post("/train", json=body)
    assert answer.status_code == expect, answer.text
    return answer.json()


def test_the_printed_call_becomes_the_job_that_it_describes(client: TestClient, service: Service) -> None:
    answer = post(client, PRINTED)
    assert answer["status"] == "pending" and answer["model_type"] == "text"
    spec = job_of(service, answer["job_id"]).spec
    assert (spec.model.source, spec.recipe.epochs, spec.recipe.batch.size) == ("microsoft/DialoGPT-medium", 3, 8)
    assert (spec.recipe.learning_rate, spec.resources.device) == (2e-5, Device.CUDA)
    assert spec.suggested == {"recipe.method": "full", "recipe.batch.accumulation": 1, "recipe.length": 512}


def test_what_is_left_out_is_only_suggested(client: TestClient, service: Service) -> None:
    spec = job_of(service, post(client, LEAST)["job_id"]).spec
    assert spec.recipe.model_fields_set == set()
    assert spec.suggested["recipe.epochs"] == 3 and spec.suggested["recipe.learning_rate"] == 2e-5
    assert spec.resources.device is Device.AUTO


def test_the_configuration_is_read_again_for_each_job(
    client: TestClient, service: Service, working_folder: Path
) -> None:
    file = working_folder / "config" / "training_config.yaml"
    file.parent.mkdir()
    for epochs in (5, 6):
        file.write_text(f"langtext: {{model_name: phi-2, num_labels: 2}}\ntraining: {{epochs: {epochs}}}\n")
        job = job_of(service, post(client, LEAST)["job_id"])
        assert (job.spec.model.source, job.spec.suggested["recipe.epochs"]) == ("phi-2", epochs)
        assert job.warnings == ["num_labels 2 of the configuration gives way to the classes in the data."]
    file.write_text("training: {epoch: 5}\n")
    assert "Did you mean 'epochs'?" in post(client, LEAST, 422)["detail"]


def test_each_job_without_an_output_has_one_of_its_own(client: TestClient) -> None:
    first, second = post(client, LEAST), post(client, LEAST)
    assert first["output_dir"] == f"saved_models/LangText/{first['job_id']}" != second["output_dir"]
    assert post(client, {**LEAST, "run_name": "mine"})["output_dir"] == "saved_models/LangText/mine"


@pytest.mark.parametrize(
    ("category", "model_type", "model", "language", "warnings"),
    [
        ("Vision", "vision", "google/vit-base-patch16-224",
         None, ["num_labels 1000 of the configuration gives way to the classes in the data."]),
        ("Audio", "audio", "openai/whisper-small", "en", []),
        ("MultiModal", "multimodal", "openai/clip-vit-base-patch32", None, []),
    ],
)  # fmt: skip
def test_each_category_has_the_documented_defaults(
    client: TestClient, service: Service, category: str, model_type: str, model: str, language: str | None,
    warnings: list[str],
) -> None:  # fmt: skip
    answer = post(client, {**LEAST, "category": category})
    assert (answer["category"], answer["model_type"], answer["model_name"]) == (category, model_type, model)
    job = job_of(service, answer["job_id"])
    assert (job.spec.suggested["recipe.method"], job.spec.suggested["recipe.epochs"]) == ("full", 3)
    assert job.spec.suggested.get("options.language") == language and "recipe.length" not in job.spec.suggested
    assert job.warnings == warnings and job.extra["modality"] == model_type


def test_a_category_that_nothing_trains_is_refused_with_what_is_trained(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {name: each for name, each in installed.MODALITIES.items() if name != "vision"}
    monkeypatch.setattr(installed, "MODALITIES", others)
    said = post(client, {**PRINTED, "category": "Vision"}, 422)["detail"]
    assert "Vision" in said and "chat" in said


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"category": "langtext"}, "category"),
        ({"category": None}, "category"),
        ({"epochs": 0}, "epochs"),
        ({"epochs": "many"}, "epochs"),
        ({"epochs": 1.5}, "epochs"),
        ({"batch_size": -1}, "batch_size"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": 0.2}, "learning_rate"),
        ({"gpu": "perhaps"}, "gpu"),
        ({"run_name": "../up"}, "run_name"),
        ({"dataset_path": ""}, "dataset_path"),
        ({"epoch": 3}, "epoch"),
        ({"dataset_path": "../../nothing/there.jsonl"}, "there.jsonl"),
        ({"model_name": "../nothing"}, "../nothing"),
    ],
)
def test_a_wrong_value_is_named_in_one_sentence(client: TestClient, change: dict[str, Any], field: str) -> None:
    answer = post(client, {**PRINTED, **change}, 422)
    assert field in answer["detail"] and "\n" not in answer["detail"]
    assert client.get("/jobs").json() == []


def test_a_job_is_shown_with_its_numbers_and_its_last_lines(client: TestClient, service: Service) -> None:
    id = post(client, {**PRINTED, "run_name": "mine"})["job_id"]
    bring(service, id, RunState.RUNNING, progress={"step": 2, "total_steps": 4, "loss": 1.25})
    say(service, id, "started", **STARTED)
    say(service, id, "step", **STEP)
    shown = client.get(f"/jobs/{id}").json()
    assert (shown["status"], shown["progress"], shown["loss"]) == ("running", 50.0, 1.25)
    assert shown["dataset_path"] == PRINTED["dataset_path"] and shown["output_dir"] == PRINTED["output_dir"]
    assert shown["start_time"] and shown["run_name"] == "mine"
    assert shown["logs"][-1].endswith("Step 2: loss 1.2500, learning rate 0.0001, 100 tokens/s.")


def test_a_cancelled_job_has_failed_and_says_why(client: TestClient, service: Service) -> None:
    id = post(client, PRINTED)["job_id"]
    bring(service, id, RunState.CANCELLED, reason="cancelled")
    shown = client.get(f"/jobs/{id}").json()
    assert (shown["status"], shown["reason"]) == ("failed", "cancelled")


def test_jobs_are_listed_by_word_and_page_by_page(client: TestClient, service: Service) -> None:
    ids = [post(client, LEAST)["job_id"] for _ in range(4)][::-1]
    bring(service, ids[0], RunState.PAUSED, reason="paused")
    bring(service, ids[1], RunState.FAILED, error={"code": "crash", "message": "It broke.", "todo": None})
    assert [job["job_id"] for job in client.get("/jobs").json()] == ids
    assert [job["job_id"] for job in client.get("/jobs", params={"status": "pending"}).json()] == [ids[0], *ids[2:]]
    assert [job["error"] for job in client.get("/jobs", params={"status": "failed"}).json()] == ["It broke."]
    page = client.get("/jobs", params={"limit": 2, "before": f"ftjob-{ids[1]}"}).json()
    assert [job["job_id"] for job in page] == ids[2:]
    assert client.get("/jobs", params={"status": "done"}).status_code == 422


@pytest.mark.parametrize("form", ["{}", "job-{}", "train_{}", "ftjob-{}"])
def test_every_form_of_an_id_is_understood(client: TestClient, form: str) -> None:
    id = post(client, LEAST)["job_id"]
    assert client.get("/jobs/" + form.format(id)).json()["job_id"] == id
