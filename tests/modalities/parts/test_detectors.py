from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from made_scenes import make_detector
from tunesmith.modalities.parts.detectors import backbones, draw_samples, stay_alone, write_detector_preprocessor
from tunesmith.modalities.parts.picture_sizes import PictureSize, whole_size
from tunesmith.training.detection import BoxedBatch, Detection

SIZE = PictureSize(64, 96, 96, (0.0,) * 3, (1.0,) * 3, crops=False)


def test_a_backbone_is_what_lies_below_the_heads(tmp_path: Path) -> None:
    from transformers import AutoModelForObjectDetection

    for kind, name in (("rt_detr", "model.backbone"), ("yolos", "vit")):
        model = AutoModelForObjectDetection.from_pretrained(make_detector(tmp_path / kind, kind))
        assert list(backbones(model)) == [model.get_submodule(name)]


def test_the_loss_of_detr_waits_for_no_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.loss import loss_for_object_detection

    monkeypatch.setattr(loss_for_object_detection, "is_accelerate_available", lambda: True)
    stay_alone()
    assert not vars(loss_for_object_detection)["is_accelerate_available"]()


@pytest.mark.parametrize(("kind", "named"), [("d_fine", "RTDetrImageProcessor"), ("yolos", "YolosImageProcessor")])
def test_the_preprocessor_sees_what_training_saw(kind: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    write_detector_preprocessor(tmp_path / "base", SIZE, kind, tmp_path)
    said = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert (said["image_processor_type"], said["size"]) == (named, {"height": 64, "width": 96})
    assert whole_size(tmp_path, None) == SIZE


@pytest.mark.parametrize(
    ("said", "asked", "sides"),
    [
        ({}, None, (640, 640)),
        ({"size": {"height": 480, "width": 640}}, None, (480, 640)),
        ({"size": {"shortest_edge": 800, "longest_edge": 1333}}, None, (640, 640)),
        ({"size": {"height": 480, "width": 640}}, 100, (96, 96)),
        ({"size": 250}, None, (256, 256)),
    ],
)
def test_the_size_is_that_of_the_preprocessor_in_whole_steps(
    said: dict[str, object], asked: int | None, sides: tuple[int, int], tmp_path: Path
) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    size = whole_size(tmp_path, asked)
    assert (size.height, size.width) == sides


def test_a_picture_is_only_shifted_where_its_preprocessor_says_so(tmp_path: Path) -> None:
    said = {"do_normalize": False, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.2, 0.2, 0.2]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    assert (whole_size(tmp_path, 64).mean, whole_size(tmp_path, 64).deviation) == ((0.0,) * 3, (1.0,) * 3)


class _Rows:
    """One grey picture of 40 x 60 with a thing in its middle."""

    lengths = range(1)

    def batch(self, rows: list[int], epoch: int) -> BoxedBatch:
        thing = {"class_labels": torch.tensor([1]), "boxes": torch.tensor([[0.5, 0.5, 0.5, 0.5]])}
        return BoxedBatch(torch.full((1, 3, 64, 96), 0.5), [thing], [(40, 60)], 24)


class _Sees:
    """Finds one thing, in the upper left."""

    def modules(self) -> list[torch.nn.Module]:
        return []

    def __call__(self, **inputs: object) -> object:
        class Output:
            loss = torch.tensor(1.0)
            logits = torch.tensor([[[9.0, -9.0]]])
            pred_boxes = torch.tensor([[[0.25, 0.25, 0.2, 0.2]]])

        return Output()


def test_what_is_found_is_drawn_in_colour_and_what_should_be_in_white(tmp_path: Path) -> None:
    detection = Detection(_Sees(), make=lambda rows: rows, classes=["a", "b"])  # type: ignore[arg-type,return-value]
    draw_samples(detection, _Rows(), SIZE, ["a", "b"], tmp_path / "samples")  # type: ignore[arg-type]
    picture = Image.open(tmp_path / "samples/validation-1.png")
    assert picture.size == (320, 213)
    colours = {colour for _, colour in picture.getcolors(10_000)}
    assert {(255, 255, 255), (0xE6, 0x19, 0x4B)} <= colours
