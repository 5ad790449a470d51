"""Checkpoints of models of pictures, asked by their names through a server."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleet import until
from modalities.vision.pictures import draw_classes
from modalities.vision.test_families import write as make_classifier
from served import Served, served

pytestmark = pytest.mark.slow
RECIPE: dict[str, Any] = {
    "epochs": 4, "learning_rate": 0.01, "batch": {"size": 4, "accumulation": 1}, "precision": "fp32",
    "checkpoints": {"every_steps": 2, "keep": 9},
}  # fmt: skip


@pytest.fixture
def server(home: Path, tmp_path: Path) -> Iterator[Served]:
    with served(home, "--device", "cpu", folder=tmp_path) as running:
        yield running


def scores(server: Served, model: str, picture: bytes) -> dict[str, float]:
    body = {"model": model, "content": base64.b64encode(picture).decode()}
    answer = httpx.post(f"{server.url}/api/predict", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    return {each["label"]: each["score"] for each in answer.json()["labels"]}


@pytest.mark.parametrize(("model_type", "method"), [("vit", "lora"), ("mobilenet_v2", "full")])
def test_a_checkpoint_of_a_finished_job_answers_with_its_own_weights(
    server: Served, model_type: str, method: str, tmp_path: Path
) -> None:
    model, data = make_classifier(tmp_path / "model", model_type), draw_classes(tmp_path / "data", 4)
    job = {"model": {"source": str(model)}, "datasets": [{"uri": str(data)}], "recipe": {**RECIPE, "method": method}}
    id = httpx.post(f"{server.url}/api/jobs", json={"spec": job}).raise_for_status().json()["id"]
    jobs = f"{server.url}/v1/fine_tuning/jobs/{id}"
    over = partial(_in, jobs, "succeeded", "failed")
    done = until(over, "the job is over", 300)
    assert done["status"] == "succeeded", done
    *_, first = [each["fine_tuned_model_checkpoint"] for each in httpx.get(f"{jobs}/checkpoints").json()["data"]]
    assert ":ckpt-step-" in first
    picture = (data / "white" / "0.png").read_bytes()
    result, early = scores(server, done["fine_tuned_model"], picture), scores(server, first, picture)
    assert early.keys() == result.keys() == {"black", "grey", "white"}
    assert early != pytest.approx(result, abs=1e-4)


def test_a_checkpoint_of_a_job_that_goes_on_is_refused_in_a_sentence(server: Served, tmp_path: Path) -> None:
    model, data = make_classifier(tmp_path / "model", "vit"), draw_classes(tmp_path / "data", 4)
    recipe = {**RECIPE, "epochs": 5000, "stopping": {"patience": 10_000}}
    job = {"model": {"source": str(model)}, "datasets": [{"uri": str(data)}], "recipe": recipe}
    id = httpx.post(f"{server.url}/api/jobs", json={"spec": job}).raise_for_status().json()["id"]
    jobs = f"{server.url}/v1/fine_tuning/jobs/{id}"
    saved = until(lambda: httpx.get(f"{jobs}/checkpoints").json()["data"], "it saves", 120)
    httpx.post(f"{jobs}/pause").raise_for_status()
    until(partial(_in, jobs, "paused"), "it pauses", 120)
    saved = httpx.get(f"{jobs}/checkpoints").json()["data"]
    picture = base64.b64encode((data / "white" / "0.png").read_bytes()).decode()
    body = {"model": saved[0]["fine_tuned_model_checkpoint"], "content": picture}
    answer = httpx.post(f"{server.url}/api/predict", json=body, timeout=120)
    assert answer.status_code == 422, answer.text
    assert "answers only with the result of its run: let the run finish or land" in answer.text


def _in(jobs: str, *statuses: str) -> Any:
    now = httpx.get(jobs).raise_for_status().json()
    return now if now["status"] in statuses else None
