"""Finding things in pictures: a detector's own loss, what it finds, and how good that is (mAP, as COCO reckons it)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from tunesmith.data.token_rows import TokenRows
from tunesmith.training.classification import LISTED
from tunesmith.training.pieces import Rows

MOST: Final = 100
"""Things that a picture is taken to show at most: those of the highest scores, as COCO counts them."""


@dataclass(frozen=True)
class BoxedBatch:
    """Pictures, and what is where in them."""

    pixels: Tensor
    """(pictures, 3, height, width)"""
    things: list[dict[str, Tensor]]
    """Of each picture: ``class_labels`` (things,) int64 and ``boxes`` (things, 4), middles and sides as shares."""
    sizes: list[tuple[int, int]]
    """Height and width of each picture before it was squeezed."""
    tokens: int
    course: float = 0.0
    """The share of the training's passes that lies before this one; nothing where it only measures."""

    @property
    def labels(self) -> int:
        """Things in all pictures, 1 at least."""
        return max(1, sum(len(each["class_labels"]) for each in self.things))


@dataclass(frozen=True)
class Seen:
    """What is in a picture, and what was found; boxes are left, top, width and height in pixels."""

    classes: NDArray[np.int64]
    boxes: NDArray[np.float64]
    found: NDArray[np.int64]
    found_boxes: NDArray[np.float64]
    scores: NDArray[np.float64]


@runtime_checkable
class Staged(Protocol):
    """A detector whose loss changes in the course of a training."""

    def go_to(self, course: float) -> None:
        """Weigh its parts as they are weighed after this share of the passes."""
        ...


class Detection:
    """The loss of a detector, and the precision of what it finds.

    A detector of transformers divides its loss by the things of the batch that it is given; here that is multiplied
    out again, and divided by the things of the whole step.
    """

    def __init__(self, model: Any, *, make: Callable[[TokenRows], Rows], classes: Sequence[str]) -> None:
        self.warnings: list[str] = []
        self._model = model
        straighten(model)
        self._make = make
        self._classes = list(classes)

    def rows(self, rows: TokenRows) -> Rows:
        """Make batches of these rows."""
        return self._make(rows)

    def loss(self, batch: BoxedBatch) -> Tensor:
        """Sum of the model's own loss over the things in a batch."""
        loss: Tensor = self._output(batch).loss
        return loss * batch.labels

    def measure(self, batch: BoxedBatch) -> dict[str, float]:
        """Sum the loss."""
        return self.gather(batch)[0]

    def metrics(self, sums: dict[str, float], labels: int) -> dict[str, float]:
        """Report nothing that is a sum."""
        return {}

    def gather(self, batch: BoxedBatch) -> tuple[dict[str, float], list[Seen]]:
        """Return the sum of the loss, and what is found in each picture."""
        output = self._output(batch)
        found = predictions(output.logits, output.pred_boxes, len(self._classes), batch.sizes)
        said = []
        for things, size, (classes, boxes, scores) in zip(batch.things, batch.sizes, found, strict=True):
            true = in_pixels(things["boxes"].double().cpu().numpy(), size)
            said.append(Seen(things["class_labels"].cpu().numpy(), true, classes, boxes, scores))
        return {"loss": float(output.loss) * batch.labels}, said

    def figures(self, said: list[Seen]) -> dict[str, float]:
        """Return mAP at an overlap of 50 %, its mean over 50 % to 95 %, and that mean of each class."""
        return average_precision(said, self._classes)

    def _output(self, batch: BoxedBatch) -> Any:
        if isinstance(self._model, Staged):
            self._model.go_to(batch.course)
        return self._model(pixel_values=batch.pixels, labels=batch.things)


def straighten(model: nn.Module) -> None:
    """Lay gradients out row by row where they reach what makes maps of a single picture.

    There PyTorch's CPU layers take a gradient that comes from tokens, (1, channels, height, width) with the channels
    innermost in memory, for one that is laid out otherwise, and the gradients of all layers before are wrong.
    """
    for part in model.modules():
        if isinstance(part, nn.Conv2d | nn.modules.batchnorm._BatchNorm):
            part.register_forward_hook(_straightened)


def _straightened(part: nn.Module, inputs: Any, output: Tensor) -> None:
    if output.requires_grad and len(output) == 1:
        output.register_hook(Tensor.contiguous)  # type: ignore[no-untyped-call]


def predictions(
    logits: Tensor, boxes: Tensor, classes: int, sizes: Sequence[tuple[int, int]]
) -> list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]]:
    """Return classes, boxes and scores of the likeliest things in each picture, the likeliest first.

    A model with one more class than there are says "nothing" with the last; others judge each class for itself. What a
    model rules out, by a chance of nothing, is left out.
    """
    logits = logits.float()
    chances = logits.softmax(-1)[..., :classes] if logits.shape[-1] > classes else logits.sigmoid()
    flat = chances.flatten(1)
    scores, places = flat.topk(min(MOST, flat.shape[1]), dim=1)
    found = []
    for row, size in enumerate(sizes):
        likely = scores[row] > 0
        place, score = places[row][likely], scores[row][likely]
        boxed = boxes[row, place // classes].double().cpu().numpy()
        found.append(((place % classes).cpu().numpy(), in_pixels(boxed, size), score.double().cpu().numpy()))
    return found


def in_pixels(boxes: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Turn middles and sides as shares, (boxes, 4), into left, top, width and height in pixels."""
    across = np.array([size[1], size[0]], np.float64)
    sides = boxes[:, 2:] * across
    return np.concatenate([boxes[:, :2] * across - sides / 2, sides], 1)


def average_precision(said: Sequence[Seen], classes: Sequence[str]) -> dict[str, float]:
    """Return what pycocotools says of these pictures; of classes that occur in none of them nothing.

    All is nothing (0) where no picture has a thing in it.
    """
    from pycocotools.coco import COCO  # type: ignore[import-untyped]
    from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]

    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for picture, each in enumerate(said):
        for label, box in zip(each.classes.tolist(), each.boxes.tolist(), strict=True):
            truth.append({"id": len(truth) + 1, "image_id": picture, "category_id": label, "bbox": box,
                          "area": box[2] * box[3], "iscrowd": 0})  # fmt: skip
        for label, box, score in zip(each.found.tolist(), each.found_boxes.tolist(), each.scores.tolist(), strict=True):
            found.append({"image_id": picture, "category_id": label, "bbox": box, "score": score})
    if not truth or not found:
        return {"map": 0.0, "map_50": 0.0}
    with redirect_stdout(StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": picture} for picture in range(len(said))],
            "categories": [{"id": number} for number in range(len(classes))],
            "annotations": truth,
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(found), "bbox")
        judge.evaluate()
        judge.accumulate()
    # (overlaps, recalls, classes): of all sizes, of at most MOST things a picture; -1 where a class does not occur.
    precision = judge.eval["precision"][:, :, :, 0, -1]
    figures = {"map": _mean(precision), "map_50": _mean(precision[0])}
    if len(classes) <= LISTED:
        each_class = {name: precision[:, :, number] for number, name in enumerate(classes)}
        figures |= {f"ap of {name}": _mean(values) for name, values in each_class.items() if (values > -1).any()}
    return figures


def _mean(values: NDArray[np.float64]) -> float:
    known = values[values > -1]
    return float(known.mean()) if len(known) else 0.0
