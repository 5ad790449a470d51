from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from made_scenes import make_detector
from tunesmith.training.detection import BoxedBatch, Detection, Seen, average_precision, in_pixels, predictions


def seen(true: list[tuple[int, list[float]]], found: list[tuple[int, list[float], float]]) -> Seen:
    return Seen(
        np.array([label for label, _ in true], np.int64),
        np.array([box for _, box in true], np.float64).reshape(-1, 4),
        np.array([label for label, _, _ in found], np.int64),
        np.array([box for _, box, _ in found], np.float64).reshape(-1, 4),
        np.array([score for *_, score in found], np.float64),
    )


A, B, FAR = [0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 10.0, 10.0], [80.0, 0.0, 10.0, 10.0]


def test_all_found_and_nothing_else_is_one() -> None:
    found = average_precision([seen([(0, A), (1, B)], [(0, A, 0.9), (1, B, 0.8)])], ["cat", "dog"])
    assert found == pytest.approx({"map": 1.0, "map_50": 1.0, "ap of cat": 1.0, "ap of dog": 1.0})


def test_a_false_find_before_the_second_true_one_costs_what_is_reckoned_by_hand() -> None:
    # By falling score: right, wrong, right. Precision is 1 up to a recall of 1/2, and 2/3 up to 1: of the 101 recalls
    # 0, 0.01, ... 1 those up to 0.5 are 51.
    said = [seen([(0, A), (0, B)], [(0, A, 0.9), (0, FAR, 0.8), (0, B, 0.7)])]
    by_hand = (51 * 1 + 50 * 2 / 3) / 101
    assert average_precision(said, ["cat"])["map_50"] == pytest.approx(by_hand, abs=1e-6)


def test_an_overlap_of_two_thirds_counts_up_to_a_threshold_of_65_percent() -> None:
    # 10 x 10 against 10 x 8 at the same place is an overlap of 0.8: thresholds 0.50 to 0.80 count, 7 of 10.
    said = [seen([(0, A)], [(0, [0.0, 0.0, 10.0, 8.0], 0.9)])]
    found = average_precision(said, ["cat"])
    assert (found["map_50"], found["map"]) == pytest.approx((1.0, 0.7), abs=1e-6)


def test_a_class_that_occurs_nowhere_is_not_counted() -> None:
    found = average_precision([seen([(0, A)], [(0, A, 0.9), (1, B, 0.9)])], ["cat", "dog"])
    assert found == pytest.approx({"map": 1.0, "map_50": 1.0, "ap of cat": 1.0})


def test_eighty_classes_are_told_one_by_one() -> None:
    names = [f"thing {number:02}" for number in range(80)]
    said = [seen([(number, A)], [(number, A, 0.9)] if number % 2 else [(number, FAR, 0.9)]) for number in range(80)]
    found = average_precision(said, names)
    assert [found[f"ap of {name}"] for name in names] == pytest.approx([number % 2 for number in range(80)])


def test_nothing_to_find_or_nothing_found_is_nothing() -> None:
    assert average_precision([seen([], [(0, A, 0.9)])], ["cat"]) == {"map": 0.0, "map_50": 0.0}
    assert average_precision([seen([(0, A)], [])], ["cat"]) == {"map": 0.0, "map_50": 0.0}


def test_is_what_pycocotools_says_of_files(tmp_path: Path) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    random = np.random.default_rng(0)
    said, truth, results = [], [], []
    for picture in range(40):
        true = [(int(random.integers(3)), [*random.uniform(0, 80, 2), *random.uniform(5, 40, 2)]) for _ in range(4)]
        near = [(k, [v + float(random.normal(0, 2)) for v in box], float(random.random())) for k, box in true]
        wrong = [(int(random.integers(3)), [*random.uniform(0, 80, 2), 20.0, 20.0], float(random.random()))]
        said.append(seen(true, [*near, *wrong]))
        for label, box in true:
            truth.append({"id": len(truth) + 1, "image_id": picture, "category_id": label + 1, "bbox": box,
                          "area": box[2] * box[3], "iscrowd": 0})  # fmt: skip
        results += [
            {"image_id": picture, "category_id": k + 1, "bbox": box, "score": s} for k, box, s in [*near, *wrong]
        ]
    dataset = {"images": [{"id": n} for n in range(40)], "annotations": truth,
               "categories": [{"id": n + 1, "name": f"class {n}"} for n in range(3)]}  # fmt: skip
    (tmp_path / "truth.json").write_text(json.dumps(dataset))
    (tmp_path / "found.json").write_text(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(tmp_path / "truth.json"))
        judge = COCOeval(coco, coco.loadRes(str(tmp_path / "found.json")), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    found = average_precision(said, ["class 0", "class 1", "class 2"])
    assert 0.1 < found["map"] < 0.9
    assert (found["map"], found["map_50"]) == pytest.approx(tuple(judge.stats[:2]), abs=1e-6)


def test_the_last_class_of_a_softmax_is_nothing() -> None:
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.4]] * 2])
    softmax, sigmoid = torch.tensor([[[0.0, 9.0, 0.0], [0.0, 0.0, 9.0]]]), torch.tensor([[[-9.0, 9.0], [-9.0, -9.0]]])
    for logits in (softmax, sigmoid):
        [(classes, found, scores)] = predictions(logits, boxes, 2, [(100, 200)])
        assert (classes[0], len(classes)) == (1, 4)
        assert scores[0] > 0.99 > 0.01 > scores[1]
        assert found[0].tolist() == pytest.approx([80, 30, 40, 40])


def test_shares_become_pixels() -> None:
    assert in_pixels(np.array([[0.5, 0.25, 0.2, 0.1]]), (40, 100)).tolist() == [[40.0, 8.0, 20.0, 4.0]]


def batch_of(pictures: list[int], counts: list[int], dtype: torch.dtype = torch.float32) -> BoxedBatch:
    things, pixels = [], []
    for number in pictures:
        random = torch.Generator().manual_seed(number)
        pixels.append(torch.randn(3, 64, 64, generator=random))
        count = counts[number]
        boxes = torch.rand(count, 4, generator=random) * 0.3 + 0.2
        things.append({"class_labels": torch.randint(3, (count,), generator=random), "boxes": boxes.to(dtype)})
    return BoxedBatch(torch.stack(pixels).to(dtype), things, [(64, 64)] * len(pictures), 16 * len(pictures))


@pytest.mark.parametrize("kind", ["rt_detr", "rt_detr_v2"])
def test_micro_batches_add_up_to_the_gradient_of_the_batch(kind: str, tmp_path: Path) -> None:
    """Without what looks at a whole batch: batch normalisation, and denoising in groups."""
    from transformers import AutoModelForObjectDetection

    torch.manual_seed(0)
    model = AutoModelForObjectDetection.from_pretrained(make_detector(tmp_path, kind), num_denoising=0).double().train()
    with torch.no_grad():  # A new model finds the same in all places, and of equal finds any is matched.
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    norms = [part for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    for part in norms:
        part.momentum = 1.0
    model(pixel_values=batch_of([0, 1, 2, 3], [0] * 4, torch.float64).pixels)
    for part in norms:
        part.eval()
    detection, counts = Detection(model, make=lambda rows: rows, classes=["a", "b", "c"]), [1, 3, 2, 4]  # type: ignore[arg-type,return-value]
    gradients = []
    for parts in ([[0, 1, 2, 3]], [[0, 1], [2], [3]]):
        model.zero_grad()
        for part in parts:
            (detection.loss(batch_of(part, counts, torch.float64)) / sum(counts)).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    whole, divided = gradients
    assert float((whole - divided).norm() / whole.norm()) < 1e-5


def test_a_picture_that_shows_nothing_has_a_loss_too(tmp_path: Path) -> None:
    from transformers import AutoModelForObjectDetection

    model = AutoModelForObjectDetection.from_pretrained(make_detector(tmp_path)).eval()
    detection = Detection(model, make=lambda rows: rows, classes=["a", "b", "c"])  # type: ignore[arg-type,return-value]
    with torch.no_grad():
        sums, said = detection.gather(batch_of([0], [0]))
    assert np.isfinite(sums["loss"])
    assert len(said[0].boxes) == 0 and len(said[0].found) == 36


class Weighed(torch.nn.Module):
    """A detector whose loss is the share of the training that lies before it."""

    def go_to(self, course: float) -> None:
        self.course = course

    def forward(self, pixel_values: torch.Tensor, labels: object) -> SimpleNamespace:
        return SimpleNamespace(loss=torch.tensor(self.course))


def test_a_loss_that_changes_from_pass_to_pass_is_that_of_the_batch() -> None:
    objective = Detection(Weighed(), make=lambda rows: pytest.fail("no rows"), classes=["cat"])
    said = [objective.loss(replace(batch_of([0], [1]), course=course)) for course in (0.0, 0.5, 0.25)]
    assert [float(loss) for loss in said] == [0, 0.5, 0.25]


def test_what_a_model_rules_out_is_not_found() -> None:
    logits = torch.tensor([[[2.0, -torch.inf], [-torch.inf, -torch.inf]]])
    [(classes, boxes, scores)] = predictions(logits, torch.full((1, 2, 4), 0.5), 2, [(10, 10)])
    assert (classes.tolist(), len(boxes)) == ([0], 1)
    assert scores.tolist() == pytest.approx([0.8808], abs=1e-4)
