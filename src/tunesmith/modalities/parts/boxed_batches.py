"""Pictures with boxes of the token cache as batches: cut, mirrored and recoloured, with the boxes following.

All that is drawn at random follows from seed, epoch and row, so that a resumed run sees the same pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tunesmith.data.media.payload import Payload
from tunesmith.data.token_rows import Indices, TokenRows
from tunesmith.modalities.parts.boxed_rows import Boxes
from tunesmith.modalities.parts.picture_batches import STILL, TRIES, Variation, random_for, recoloured
from tunesmith.modalities.parts.picture_sizes import PictureSize
from tunesmith.training.detection import BoxedBatch

CUT: Final = 0.5
"""Share of the training pictures of which a part is taken; the others stay whole, as pictures are when measured."""
SEEN: Final = 0.6
"""Least share of a thing that a part may leave of it; no part is taken that leaves less, unless it leaves nothing."""


@dataclass(frozen=True)
class _View:
    """What is seen of a picture, and where its things are then."""

    part: tuple[float, float, float, float]
    """Left, top, width and height, as shares."""
    mirrored: bool
    boxes: Boxes
    kept: Indices
    """Places of ``boxes`` among those of the picture."""
    random: np.random.Generator | None = field(default=None, compare=False)


class BoxedBatches:
    """Pictures with boxes as the loop sees them."""

    def __init__(
        self,
        rows: TokenRows,
        classes: Sequence[str],
        *,
        device: torch.device,
        size: PictureSize,
        variation: Variation = STILL,
        seed: int = 0,
        passes: float | None = None,
    ) -> None:
        """``passes`` is how often the rows are trained on in all, where that is known."""
        self._rows = rows
        self.lengths = rows.lengths
        """(rows,) patches of each picture."""
        self._places = {name: place for place, name in enumerate(classes)}
        self._device = device
        self._size = size
        self._variation = variation
        self._seed = seed
        self._passes = passes

    def labels(self, rows: Sequence[int], epoch: int = 0) -> int:
        """Count the things that are seen in these pictures, 1 at least."""
        return max(1, sum(len(self._view(self._payload(row), row, epoch).boxes) for row in rows))

    def batch(self, rows: Sequence[int], epoch: int = 0) -> BoxedBatch:
        """Make a batch of these pictures."""
        payloads = [self._payload(row) for row in rows]
        views = [self._view(each, row, epoch) for each, row in zip(payloads, rows, strict=True)]
        pixels = torch.stack([self._seen(each, view) for each, view in zip(payloads, views, strict=True)])
        size, device = self._size, self._device
        mean, deviation = (
            torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (size.mean, size.deviation)
        )
        things = []
        for each, view in zip(payloads, views, strict=True):
            classes = [self._places[each.facts["labels"][place]] for place in view.kept]
            things.append(
                {
                    "class_labels": torch.tensor(classes, dtype=torch.int64, device=device),
                    "boxes": torch.from_numpy(view.boxes.copy()).to(device),
                }
            )
        sizes = [(int(each.facts["size"][0]), int(each.facts["size"][1])) for each in payloads]
        course = 0.0 if self._passes is None else min(epoch / max(self._passes - 1, 1), 1.0)
        tokens = int(self.lengths[list(rows)].sum())
        return BoxedBatch((pixels.to(device) - mean) / deviation, things, sizes, tokens, course)

    def _payload(self, row: int) -> Payload:
        assert self._rows.media is not None
        return self._rows.media[row]

    def _view(self, payload: Payload, row: int, epoch: int) -> _View:
        boxes: Boxes = payload.arrays[1]
        whole = _View((0.0, 0.0, 1.0, 1.0), False, boxes, np.arange(len(boxes)))
        if self._variation == STILL:
            return whole
        random = random_for(self._seed, epoch, row)
        part, kept = whole.part, whole.kept
        if self._variation.crop_scale is not None and random.random() < CUT:
            part, boxes, kept = _part(boxes, self._variation.crop_scale, random)
        mirrored = self._variation.flip and random.random() < 0.5
        if mirrored:
            boxes = boxes.copy()
            boxes[:, 0] = 1 - boxes[:, 0]
        return _View(part, mirrored, boxes, kept, random)

    def _seen(self, payload: Payload, view: _View) -> Tensor:
        """Return (3, height, width) between 0 and 1."""
        picture = payload.arrays[0]
        height, width = picture.shape[:2]
        left, top, wide, high = view.part
        if view.part != (0.0, 0.0, 1.0, 1.0):
            picture = picture[
                round(top * height) : round((top + high) * height), round(left * width) : round((left + wide) * width)
            ]
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
        if pixels.shape[1:] != (height, width):
            pixels = functional.interpolate(pixels[None], (height, width), mode="bilinear", align_corners=False)[0]
        if view.mirrored:
            pixels = pixels.flip(2)
        if view.random is not None and self._variation.colour:
            pixels = recoloured(pixels, self._variation.colour, view.random)
        return pixels


def _part(
    boxes: Boxes, least: float, random: np.random.Generator
) -> tuple[tuple[float, float, float, float], Boxes, Indices]:
    """Draw a part of ``least`` to all of the area that cuts no thing to pieces; the whole where none is found."""
    for _ in range(TRIES):
        area, shape = random.uniform(least, 1), math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        wide, high = min(1.0, math.sqrt(area * shape)), min(1.0, math.sqrt(area / shape))
        left, top = random.uniform(0, 1 - wide), random.uniform(0, 1 - high)
        cut, kept, whole = _cut(boxes, left, top, wide, high)
        if whole and (len(kept) or not len(boxes)):
            return (left, top, wide, high), cut, kept
    return (0.0, 0.0, 1.0, 1.0), boxes, np.arange(len(boxes))


def _cut(boxes: Boxes, left: float, top: float, wide: float, high: float) -> tuple[Boxes, Indices, bool]:
    """Return the boxes as shares of a part, which of them are left, and whether each is as good as whole, or gone."""
    low = np.maximum(boxes[:, :2] - boxes[:, 2:] / 2, [left, top])
    above = np.minimum(boxes[:, :2] + boxes[:, 2:] / 2, [left + wide, top + high])
    sides = np.maximum(above - low, 0)
    share = sides.prod(1) / np.maximum(boxes[:, 2:].prod(1), 1e-12)
    kept = np.flatnonzero(share >= SEEN)
    middle = ((low + above) / 2 - [left, top]) / [wide, high]
    cut = np.concatenate([middle, sides / [wide, high]], 1)[kept].astype(np.float32)
    return cut, kept, bool(((share >= SEEN) | (share == 0)).all())
