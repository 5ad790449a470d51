"""Detectors from a folder of pictures to a result, in one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from integration.conftest import Here
from integration.jobs import begin, tiny_job
from made_scenes import SHAPES, make_detector, write_scenes
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.status import status
from tunesmith.service.jobs import submit
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.submit import plan_job
from tunesmith.settings import Settings
from tunesmith.spec.errors import BadValue, PrecisionUnusable
from tunesmith.spec.events import Evaluated, Warned
from tunesmith.spec.job import Evaluation
from tunesmith.spec.recipe import BatchRecipe
from tunesmith.spec.states import RunState


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight scenes to train on and four to validate."""
    return write_scenes(tmp_path_factory.mktemp("scenes") / "set", train=8, val=4, size=64)


def trained(model: Path, scenes: Path, output: Path, home: Path, **changes: Any) -> RunFolder:
    changes = {"method": "full", "length": None, "epochs": 1, "batch": BatchRecipe(size=4, micro_tokens=32)} | changes
    changes.setdefault("evaluation", Evaluation())
    return begin(tiny_job(model, scenes, output, **changes), Settings(home=home))


@pytest.mark.parametrize(
    "kind", ["rt_detr", "rt_detr_v2", "d_fine", "yolos", "detr", "conditional_detr", "deformable_detr"]
)
def test_every_family_trains_and_its_result_opens(
    kind: str, scenes: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Here()
    monkeypatch.setattr(submit, "LocalExecutor", lambda: executor)
    run = trained(make_detector(tmp_path / "model", kind), scenes, tmp_path / "out", home)
    assert status(run).state is RunState.SUCCEEDED, run.log.read_text()
    judged = [event.body for event in follow(run) if isinstance(event.body, Evaluated)][-1]
    assert 0 <= judged.metrics["map"] <= judged.metrics["map_50"] <= 1
    assert judged.judged_by == "map"
    assert {f"ap of {name}" for name in SHAPES} >= {name for name in judged.metrics if name.startswith("ap of")}
    assert len(list((run.artifacts_dir / "samples").glob("*.png"))) == 4
    from transformers import AutoModelForObjectDetection, pipeline

    from tunesmith.modalities.vision.predictor import load_predictor

    model = AutoModelForObjectDetection.from_pretrained(run.artifacts_dir)
    assert [model.config.id2label[number] for number in range(3)] == list(SHAPES)
    assert torch.isfinite(model(pixel_values=torch.zeros(1, 3, 64, 64)).pred_boxes).all()
    shown = scenes / "images/val/0.png"
    found = pipeline("object-detection", str(run.artifacts_dir), threshold=0.0)(Image.open(shown))
    own = load_predictor(run.artifacts_dir).predict(shown.read_bytes(), threshold=0.0)["boxes"]
    assert max(each["score"] for each in found) == pytest.approx(max(each["score"] for each in own), abs=1e-3)
    assert {each["label"] for each in found} <= set(SHAPES)
    said = json.loads((run.artifacts_dir / "preprocessor_config.json").read_text())
    assert (said["size"], said["do_normalize"]) == ({"height": 64, "width": 64}, True)


def test_a_last_step_of_one_small_picture_ends_no_training(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Here()
    monkeypatch.setattr(submit, "LocalExecutor", lambda: executor)
    three = write_scenes(tmp_path / "three", train=3, val=1, size=32)
    batch = BatchRecipe(size=2, accumulation=1, micro_tokens=32)
    run = trained(make_detector(tmp_path / "model", size=32), three, tmp_path / "out", home, batch=batch)
    assert status(run).state is RunState.SUCCEEDED, run.log.read_text()


@pytest.mark.parametrize(("kind", "able"), [("yolos", True), ("rt_detr", False)])
def test_activations_are_computed_again_where_that_is_asked_or_it_is_said_that_they_are_not(
    kind: str, able: bool, scenes: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import PreTrainedModel

    executor, asked = Here(), []
    monkeypatch.setattr(submit, "LocalExecutor", lambda: executor)
    enable = PreTrainedModel.gradient_checkpointing_enable
    monkeypatch.setattr(
        PreTrainedModel, "gradient_checkpointing_enable",
        lambda model, *given, **named: (asked.append(model.config.model_type), enable(model, *given, **named)),
    )  # fmt: skip
    model = make_detector(tmp_path / "model", kind)
    run = trained(model, scenes, tmp_path / "out", home, gradient_checkpointing=True)
    assert status(run).state is RunState.SUCCEEDED, run.log.read_text()
    told = [event.body.message for event in follow(run) if isinstance(event.body, Warned)]
    assert asked == ([kind] if able else [])
    assert any("gradient checkpointing has no effect" in each for each in told) is not able


def test_the_backbone_may_stay_as_it_is(
    scenes: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Here()
    monkeypatch.setattr(submit, "LocalExecutor", lambda: executor)
    base = make_detector(tmp_path / "model")
    run = trained(base, scenes, tmp_path / "out", home, options={"freeze_backbone": True})
    assert status(run).state is RunState.SUCCEEDED, run.log.read_text()
    from safetensors.torch import load_file

    before, after = load_file(base / "model.safetensors"), load_file(run.artifacts_dir / "model.safetensors")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.rpartition(".")[2] for name in moved} >= {"weight", "bias", "running_mean", "running_var"}
    assert not [name for name in moved if name.startswith("model.backbone")]
    assert [name for name in before if name.startswith("model.backbone") and name.endswith("running_mean")]


def test_a_detector_takes_no_adapter_and_no_16_bits(scenes: Path, tmp_path: Path, home: Path) -> None:
    model = make_detector(tmp_path / "model")
    for changes, error in (({"method": "lora"}, BadValue), ({"precision": "bf16"}, PrecisionUnusable)):
        with pytest.raises(error):
            plan_job(
                tiny_job(model, scenes, tmp_path / "out", **{"method": "full", "length": None, **changes}),
                Settings(home=home),
            )
