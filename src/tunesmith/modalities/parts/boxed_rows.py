"""From a picture with boxes to a row: the whole picture squeezed to what a detector sees, and its boxes. No torch."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.media import payload, pictures
from tunesmith.data.token_rows import EncodedRow
from tunesmith.modalities.parts.picture_sizes import PictureSize
from tunesmith.spec.errors import BadBox
from tunesmith.spec.examples import Box, BoxedImage

PATCH: Final = 16
"""Pixels of a patch's side: a picture's length is the patches that it would have, whatever the model makes of it."""
BESIDE: Final = 0.01
"""Share of a picture's side by which a box may reach beyond it, and is cut there: rounding, and pens that slip."""

Boxes = NDArray[np.float32]
"""(boxes, 4): middle, width and height as shares of the picture's sides, as detectors of transformers learn them."""


def boxed_row(example: BoxedImage, size: PictureSize) -> EncodedRow:
    """Read a picture and its boxes.

    Facts of the payload are the names of the boxes (``labels``) and height and width of the picture (``size``); its
    arrays are the pixels and the ``Boxes``.

    Raises:
        RowFault: the picture cannot be read, or a box does not lie in it.
    """
    picture = pictures.decode(example.image, example.where)
    width, height = picture.size
    sides = [_sides(example, number, box, width, height) for number, box in enumerate(example.boxes, 1)]
    boxes = np.asarray(sides, np.float32).reshape(-1, 4)
    facts = {"labels": [box.label for box in example.boxes], "size": [height, width]}
    patches = max(2, (size.height // PATCH) * (size.width // PATCH))
    mask = [place == 1 for place in range(patches)]
    pixels = pictures.squeezed(picture, size.height, size.width)
    return EncodedRow([0] * patches, mask, payload.pack(facts, [pixels, boxes]))


def _sides(example: BoxedImage, number: int, box: Box, width: int, height: int) -> tuple[float, float, float, float]:
    """Return middle, width and height of a box as shares, cut at the edges of the picture."""
    across, down = (1, 1) if box.relative else (width, height)
    left, right = box.left / across, (box.left + box.width) / across
    top, bottom = box.top / down, (box.top + box.height) / down
    if min(left, top) < -BESIDE or max(right, bottom) > 1 + BESIDE:
        reaches = f"{left * width:.0f} to {right * width:.0f} and {top * height:.0f} to {bottom * height:.0f}"
        raise BadBox(example.where, number, f"reaches beyond the picture of {width} x {height} pixels: {reaches}")
    left, top, right, bottom = max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0)
    if right <= left or bottom <= top:
        raise BadBox(example.where, number, f"lies outside of the picture of {width} x {height} pixels")
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
