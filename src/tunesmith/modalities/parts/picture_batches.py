"""Pictures of the token cache as batches: cut, mirrored, recoloured by (seed, epoch, row), and shifted to the model.

All that is drawn at random follows from seed, epoch and row, so that a resumed run sees the same pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tunesmith.modalities.parts.picture_sizes import PictureSize

Pixels = NDArray[np.uint8]
"""(height, width, 3)"""
TRIES = 10
"""Random parts drawn before the middle is taken."""


@dataclass(frozen=True)
class Variation:
    """How training pictures vary; all off is how pictures are looked at when they are measured."""

    crop_scale: float | None = None
    """Smallest share of the area that a random part has; None: the middle, or the whole."""
    flip: bool = False
    colour: float = 0.0


STILL = Variation()


def random_for(seed: int, epoch: int, row: int) -> np.random.Generator:
    """Return the random numbers of a row in an epoch."""
    return np.random.default_rng([seed, epoch, row])


def seen(
    pictures: Sequence[Pixels],
    size: PictureSize,
    device: torch.device,
    variation: Variation = STILL,
    randoms: Sequence[np.random.Generator] = (),
) -> Tensor:
    """Return what the model sees, (pictures, 3, height, width) in 32 bits; each picture has its own ``randoms``."""
    made = [
        _one(picture, size, variation, randoms[place] if variation != STILL else None)
        for place, picture in enumerate(pictures)
    ]
    batch = torch.stack(made).to(device)
    mean, deviation = (torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (size.mean, size.deviation))
    return (batch - mean) / deviation


def _one(picture: Pixels, size: PictureSize, variation: Variation, random: np.random.Generator | None) -> Tensor:
    part = _part(picture, size, variation, random)
    pixels = torch.from_numpy(np.ascontiguousarray(part)).permute(2, 0, 1).unsqueeze(0).float() / 255
    if pixels.shape[2:] != (size.height, size.width):
        pixels = functional.interpolate(
            pixels, (size.height, size.width), mode="bilinear", antialias=True, align_corners=False
        )
    made = pixels[0]
    if random is None:
        return made
    if variation.flip and random.random() < 0.5:
        made = made.flip(2)
    return recoloured(made, variation.colour, random) if variation.colour else made


def _part(picture: Pixels, size: PictureSize, variation: Variation, random: np.random.Generator | None) -> Pixels:
    if random is not None and variation.crop_scale is not None:
        return _random_part(picture, variation.crop_scale, random)
    return _middle(picture, size) if size.crops else picture


def _random_part(picture: Pixels, least: float, random: np.random.Generator) -> Pixels:
    """Cut a part of ``least`` to all of the area and of 3:4 to 4:3 (as torchvision's RandomResizedCrop draws it)."""
    height, width = picture.shape[:2]
    for _ in range(TRIES):
        area = height * width * random.uniform(least, 1)
        shape = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        wide, high = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < wide <= width and 0 < high <= height:
            top, left = int(random.integers(height - high + 1)), int(random.integers(width - wide + 1))
            return picture[top : top + high, left : left + wide]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    return picture[top : top + short, left : left + short]


def _middle(picture: Pixels, size: PictureSize) -> Pixels:
    """Cut the middle out: as much of what is kept as the model sees of it."""
    height, width = picture.shape[:2]
    share = max(size.height, size.width) / size.kept
    high, wide = (
        round(min(height, width) * share * size.height / max(size.height, size.width)),
        round(min(height, width) * share * size.width / max(size.height, size.width)),
    )
    top, left = (height - high) // 2, (width - wide) // 2
    return picture[top : top + high, left : left + wide]


def recoloured(picture: Tensor, most: float, random: np.random.Generator) -> Tensor:
    """Vary brightness, contrast and saturation by at most a share."""
    bright, contrast, saturation = (float(random.uniform(1 - most, 1 + most)) for _ in range(3))
    picture = picture * bright
    grey = (picture * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(0, keepdim=True)
    picture = grey.mean() + (picture - grey.mean()) * contrast
    grey = grey.mean() + (grey - grey.mean()) * contrast
    return (grey + (picture - grey) * saturation).clamp(0, 1)
