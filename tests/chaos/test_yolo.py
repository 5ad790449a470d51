"""YOLOs of the package ultralytics, where the extra ``yolo`` is installed: it is under the AGPL-3.0, so by no default.

What can be shown without the package stands in ``tests/service/models/test_yolo.py``, ``tests/training`` and
``tests/worker``. A torchvision that does not fit torch breaks transformers: `tunesmith doctor --fix` takes it out.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from integration.jobs import begin, kill, tiny_job, until_over, until_step, weights_digest
from made_scenes import SHAPES, write_scenes
from require import need
from tunesmith.cli.main import main
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.status import status
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.resume import Resumable, resume
from tunesmith.settings import Settings
from tunesmith.spec.errors import ModelNotFound, UnreadableFile
from tunesmith.spec.events import Evaluated, Warned
from tunesmith.spec.job import Evaluation, JobSpec, Resources
from tunesmith.spec.recipe import BatchRecipe, StoppingRecipe
from tunesmith.spec.states import RunState

pytestmark = pytest.mark.chaos
NETWORKS = ["yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n"]


@pytest.fixture(autouse=True)
def _package() -> None:
    need(find_spec("ultralytics") is not None, 'the extra yolo (AGPL-3.0) is not installed: pip install ".[yolo]"')


Said = Callable[..., str]


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Said:
    """Runs a command and returns what it printed."""

    def run(*arguments: str | Path, fails: bool = False) -> str:
        capfd.readouterr()
        code = main([str(each) for each in arguments])
        printed = capfd.readouterr()
        assert (code != 0) is fails, printed.err
        return printed.err if fails else printed.out

    return run


def few(folder: Path) -> Path:
    return write_scenes(folder / "few", train=24, val=6, size=64)


def job(model: str, scenes: Path, output: Path, **changes: Any) -> JobSpec:
    changes = {
        "method": "full", "length": None, "epochs": 2, "batch": BatchRecipe(size=6, accumulation=1, micro_tokens=64),
        "evaluation": Evaluation(), "options": {"image_size": 64},
    } | changes  # fmt: skip
    return tiny_job(Path(model), scenes, output, **changes)


def trained(model: str, scenes: Path, output: Path, home: Path, **changes: Any) -> RunFolder:
    run = until_over(begin(job(model, scenes, output, **changes), Settings(home=home)))
    assert status(run).state is RunState.SUCCEEDED, run.log.read_text()
    return run


def test_shapes_are_found_by_a_network_that_knew_nothing(tmp_path: Path, home: Path, said: Said) -> None:
    scenes = write_scenes(tmp_path / "scenes", train=240, val=60, size=160)
    run = trained(
        "yolov8n.yaml", scenes, tmp_path / "out", home, epochs=16, learning_rate=0.001, evaluate_every=60,
        batch=BatchRecipe(size=16, accumulation=1, micro_tokens=1600), stopping=StoppingRecipe(patience=100),
        options={"image_size": 160, "random_crop": False}, resources=Resources(device="cpu"),
    )  # fmt: skip
    found = [event.body.metrics for event in follow(run) if isinstance(event.body, Evaluated)]
    print(f"mAP@50 {[round(each['map_50'], 3) for each in found]}: {found[-1]}")
    assert max(each["map_50"] for each in found) >= 0.9
    shown = json.loads(said("predict", run.id, scenes / "images/val/0.png", "--json"))
    lines = (scenes / "labels/val/0.txt").read_text().splitlines()
    [group] = json.loads(said("evaluate", run.id, "--baseline", "none", "--json"))["groups"]
    measured = {each["metric"]: each["model"] for each in group["measurements"]}
    assert measured["map"] == pytest.approx(max(each["map"] for each in found), abs=0.001)
    true = {SHAPES[int(line[0])] for line in lines}
    assert shown["boxes"] and {each["label"] for each in shown["boxes"]} <= true


def test_three_kills_change_nothing(tmp_path: Path, home: Path) -> None:
    settings, chance, scenes = Settings(home=home), random.Random(5), few(tmp_path)
    straight = trained("yolov8n.yaml", scenes, tmp_path / "straight", home, epochs=8)
    run = begin(job("yolov8n.yaml", scenes, tmp_path / "killed", epochs=8), settings)
    for step in (5, 11, 17):
        assert until_step(run, step + chance.randint(0, 3))
        kill(run)
        run = resume(Resumable(run), settings)
    until_over(run)
    assert status(run).state is RunState.SUCCEEDED, run.log.read_text()
    assert weights_digest(run) == weights_digest(straight)


@pytest.mark.parametrize("network", NETWORKS)
def test_each_version_learns_is_shown_pictures_and_opens_in_its_package(
    network: str, tmp_path: Path, home: Path, said: Said
) -> None:
    scenes = few(tmp_path)
    run = trained(f"{network}.yaml", scenes, tmp_path / "out", home)
    told = [event.body.message for event in follow(run) if isinstance(event.body, Warned)]
    assert any("start at random" in each for each in told)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["network"], config["untrained"]) == (network, False)
    assert list(config["id2label"].values()) == list(SHAPES)
    assert "license: agpl-3.0" in (tmp_path / "out" / "README.md").read_text()
    assert json.loads((tmp_path / "out" / "model_info.json").read_text())["licence"] == "AGPL-3.0"
    assert "boxes" in json.loads(said("predict", run.id, scenes / "images/val/0.png", "--json"))
    said("export", "ultralytics", "--run", run.id, "--output", tmp_path / "pt")
    report = json.loads((tmp_path / "pt" / "parity.json").read_text())
    assert report["opened_by"].startswith("ultralytics") and report["shown"]["same"] == report["shown"]["of"] > 0
    assert_the_package_finds_the_same(tmp_path / "pt" / "model.pt", tmp_path / "out", scenes / "images/val/0.png")


def assert_the_package_finds_the_same(file: Path, folder: Path, picture: Path) -> None:
    """``YOLO(file)`` finds, with doubles left out by the package's own code, what the folder's predictor finds.

    Its ``predict`` would do more, and import torchvision for that.
    """
    from tunesmith.modalities.vision.predictor import load_predictor
    from tunesmith.training.ultralytics_yolo import package

    opened = package("ultralytics").YOLO(str(file))
    assert (list(opened.names.values()), opened.overrides["imgsz"]) == (list(SHAPES), 64)
    pixels = torch.from_numpy(np.array(Image.open(picture))).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        said = opened.model.eval()(pixels)
    alone = package("ultralytics.utils.nms").non_max_suppression
    [seen] = alone(said, conf_thres=0.001, iou_thres=0.7, multi_label=True, max_det=100)
    own = load_predictor(folder).predict(picture.read_bytes(), threshold=0.001)["boxes"]
    corners = np.array([[x, y, x + w, y + h] for x, y, w, h in (each["box"] for each in own)])
    seen[:, :4] = seen[:, :4].clamp(0, 64)
    assert len(own) > 0
    assert np.allclose(seen[:, 4].numpy(), [each["score"] for each in own], atol=1e-5)
    assert np.allclose(seen[:, :4].numpy(), corners, atol=0.05)
    assert [SHAPES[int(number)] for number in seen[:, 5]] == [each["label"] for each in own]


def test_a_network_with_two_heads_weighs_them_by_the_pass(tmp_path: Path, home: Path) -> None:
    from tunesmith.training.ultralytics_yolo import YoloConfig, YoloForObjectDetection

    model = YoloForObjectDetection(YoloConfig(network="yolo26n", id2label=dict(enumerate(SHAPES))))
    things = [{"class_labels": torch.tensor([0]), "boxes": torch.tensor([[0.5, 0.5, 0.4, 0.4]])}]
    weights = []
    for course in (0.0, 0.5, 1.0, 0.0):
        model.go_to(course)
        model(torch.rand(1, 3, 64, 64), things)
        assert model._criterion is not None
        weights.append(model._criterion[1].o2m)
    assert weights == pytest.approx([0.8, 0.45, 0.1, 0.8])
    straight = trained("yolo26n.yaml", few(tmp_path), tmp_path / "straight", home, epochs=4)
    run = begin(job("yolo26n.yaml", tmp_path / "few", tmp_path / "killed", epochs=4), Settings(home=home))
    assert until_step(run, 9)
    kill(run)
    run = until_over(resume(Resumable(run), Settings(home=home)))
    assert weights_digest(run) == weights_digest(straight)


def test_weights_of_its_makers_are_taken_out_of_their_file(tmp_path: Path, home: Path, said: Said) -> None:
    from tunesmith.modalities.vision.predictor import load_predictor
    from tunesmith.training.ultralytics_yolo import package

    models = Settings(home=home).models_dir
    models.mkdir(parents=True)
    made = package("ultralytics").YOLO("yolov8n.yaml")
    made.model.names = {number: f"thing {number}" for number in range(80)}
    made.save(str(models / "yolov8n.pt"))
    scenes = few(tmp_path)
    run = trained("yolov8n.pt", scenes, tmp_path / "out", home)
    told = [event.body.message for event in follow(run) if isinstance(event.body, Warned)]
    assert not any("start at random" in each for each in told)
    held = load_predictor(models / "yolov8n")
    assert held.classes[:2] == ["thing 0", "thing 1"]
    for name, weight in made.model.half().float().state_dict().items():  # It is stored in 16 bits.
        assert np.array_equal(held.model.detector.state_dict()[name].numpy(), weight.numpy()), name
    assert said("pull", "yolov8n").startswith("yolov8n: already in")


def test_the_layers_below_may_stay_as_they_are(tmp_path: Path, home: Path) -> None:
    from safetensors.numpy import load_file

    run = trained(
        "yolov8n.yaml", few(tmp_path), tmp_path / "out", home, epochs=1,
        options={"image_size": 64, "freeze_backbone": True},
    )  # fmt: skip
    again = trained("yolov8n.yaml", tmp_path / "few", tmp_path / "again", home, epochs=2,
                    options={"image_size": 64, "freeze_backbone": True})  # fmt: skip
    first, second = (load_file(each.artifacts_dir / "model.safetensors") for each in (run, again))
    weights = [name for name in first if name.endswith((".weight", ".bias"))]
    moved = [name for name in weights if not np.array_equal(first[name], second[name])]
    layers = {int(name.split(".")[2]) for name in moved}
    assert layers and min(layers) > 9  # The file of yolov8 has ten layers below its head.


@pytest.mark.usefixtures("home")
def test_weights_of_another_network_and_a_network_that_is_none_are_one_sentence(tmp_path: Path, said: Said) -> None:
    from tunesmith.training.ultralytics_yolo import layers_of, load_yolo
    from tunesmith.worker.ultralytics_file import make_yolo

    make_yolo("yolov8n", tmp_path / "n")
    config = json.loads((tmp_path / "n" / "config.json").read_text()) | {"network": "yolov8s", "untrained": False}
    (tmp_path / "n" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnreadableFile, match="those of another network"):
        load_yolo(tmp_path / "n", "fp32", ["a"], 0)
    for name in ("yolov8q", "../../etc/passwd", "yolov8n.yaml", "yolov99n"):
        with pytest.raises(ModelNotFound, match="has no network of this name"):
            layers_of(name)
    assert "has no network of this name" in said("pull", "yolo99x.yaml", fails=True)
