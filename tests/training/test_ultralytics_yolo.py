"""What is found of what a YOLO says, and which weights fit a network; all without the package."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest
import torch
from torch import nn

from tunesmith.modalities.vision.families import FAMILIES
from tunesmith.modalities.vision.families import YOLO as KNOWN
from tunesmith.spec.errors import PackageMissing, UnreadableFile
from tunesmith.training import ultralytics_yolo
from tunesmith.training.detection import MOST, predictions
from tunesmith.training.loading import YOLO
from tunesmith.training.ultralytics_yolo import _listed, _padded, _without_doubles, overlaps, package, take


def answer(*finds: tuple[float, float, float, float, float, float]) -> torch.Tensor:
    """(places, 4 + 2 classes): middles, sides, scores."""
    return torch.tensor(finds)


def test_a_double_of_a_class_is_left_out_and_another_class_stays() -> None:
    corners, scores, classes = _without_doubles(
        answer((50, 50, 20, 20, 0.6, 0.0), (51, 50, 20, 20, 0.9, 0.3), (20, 20, 10, 10, 0.0, 0.8))
    )
    assert scores.tolist() == pytest.approx([0.9, 0.8, 0.3])
    assert classes.tolist() == [0, 1, 1]
    assert corners[0].tolist() == [41, 40, 61, 60]


def test_what_overlaps_a_double_only_stays() -> None:
    chain = answer((50, 50, 20, 20, 0.9, 0), (53, 50, 20, 20, 0.8, 0), (56, 50, 20, 20, 0.7, 0))
    assert _without_doubles(chain)[1].tolist() == pytest.approx([0.9, 0.7])


def test_the_same_is_left_out_as_by_comparing_all_with_all() -> None:
    random = torch.Generator().manual_seed(0)
    middles = torch.rand(200, 2, generator=random) * 60
    said = torch.cat([middles, torch.rand(200, 2, generator=random) * 20 + 20], 1)
    scores = torch.rand(200, 2, generator=random)
    corners, kept, classes = _without_doubles(torch.cat([said, scores], 1))
    boxes = torch.cat([said[:, :2] - said[:, 2:] / 2, said[:, :2] + said[:, 2:] / 2], 1)
    wanted: list[tuple[float, int, int]] = []
    for score, place, label in sorted(
        ((float(scores[p, c]), p, c) for p in range(200) for c in range(2) if scores[p, c] > 0.001), reverse=True
    ):
        others = [p for _, p, c in wanted if c == label]
        if not others or float(overlaps(boxes[place], boxes[others]).max()) <= 0.7:
            wanted.append((score, place, label))
    assert kept.tolist() == pytest.approx([score for score, _, _ in wanted[:MOST]])
    assert classes.tolist() == [label for _, _, label in wanted[:MOST]]
    assert torch.allclose(corners, boxes[[place for _, place, _ in wanted[:MOST]]])


def test_overlaps_are_shares_of_both_together() -> None:
    box = torch.tensor([0.0, 0.0, 10.0, 10.0])
    others = torch.tensor([[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
    assert overlaps(box, others).tolist() == pytest.approx([1, 1 / 3, 0])


def test_a_network_without_doubles_is_taken_at_its_word() -> None:
    corners, scores, classes = _listed(torch.tensor([[0.0, 0, 10, 20, 0.8, 1], [0, 0, 5, 5, 0.0005, 0]]))
    assert (corners.tolist(), scores.tolist(), classes.tolist()) == ([[0, 0, 10, 20]], pytest.approx([0.8]), [1])


def test_finds_reach_the_measure_of_detectors_with_their_scores_and_sides() -> None:
    one = torch.tensor([[10.0, 20.0, 30.0, 60.0]]), torch.tensor([0.75]), torch.tensor([1])
    none = torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64)
    logits, boxes = _padded([one, none], 2, torch.zeros(2, 3, 80, 40))
    (labels, sides, scores), (no_labels, _, _) = predictions(logits, boxes, 2, [(160, 80), (160, 80)])
    assert labels.tolist() == [1] and scores.tolist() == pytest.approx([0.75])
    assert sides.tolist() == [pytest.approx([20, 40, 40, 80])]
    assert len(no_labels) == 0


def test_weights_of_other_classes_are_left_aside_and_named() -> None:
    own, other = (nn.Sequential(*[nn.Conv2d(1, 1, 1) for _ in range(9)], nn.Conv2d(1, count, 1)) for count in (2, 3))
    assert take(own, other.state_dict(), Path("model.safetensors")) == ["9"]
    assert torch.equal(own[0].weight, other[0].weight)


@pytest.mark.parametrize("names", [["9.weight"], ["0.weight", "something.else"]])
def test_weights_of_another_network_are_refused(names: list[str]) -> None:
    model = nn.Sequential(*[nn.Conv2d(1, 1, 1) for _ in range(10)])
    with pytest.raises(UnreadableFile, match="those of another network"):
        take(model, {name: torch.zeros(1, 1, 1, 1) for name in names}, Path("model.safetensors"))


def test_a_part_of_the_package_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLO_CONFIG_DIR", "somewhere")
    with pytest.raises(PackageMissing, match=r"tunesmith\[yolo\]"):
        package("no_such_package_of_ultralytics")


def test_only_the_version_of_a_missing_torchvision_is_made_up() -> None:
    before = importlib.metadata.version
    with ultralytics_yolo._without_torchvision():
        assert importlib.metadata.version("torchvision")
        with pytest.raises(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version("no-such-package-anywhere")
    assert importlib.metadata.version is before


def test_the_family_is_known_by_the_name_in_its_files() -> None:
    assert KNOWN == YOLO == ultralytics_yolo.YoloConfig.model_type
    [family] = [each for each in FAMILIES if KNOWN in each.model_types]
    assert (family.kind, family.licence) == ("detector", "AGPL-3.0")
