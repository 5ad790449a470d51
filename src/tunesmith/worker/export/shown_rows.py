"""Rows to show to a trained model and to its export: of the training, or made up where that is gone."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from tunesmith.data import media
from tunesmith.data.mixture import read
from tunesmith.modalities.folders import Use
from tunesmith.spec.errors import DataError, RowFault
from tunesmith.spec.examples import CaptionedImage, Example, ImageQuestion
from tunesmith.worker.where_trained import where_trained

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder

SEEN: Final = 500
"""First rows that the shown ones are chosen among."""
MADE: Final = 8
"""Rows that are made up, at most."""
PROMPT: Final = "a picture"
FEW: Final = 2
"""Pictures that are drawn to compare pipelines: each takes long."""


@dataclass(frozen=True)
class Row:
    """Something to show, with a text beside it."""

    content: bytes
    text: str


@dataclass(frozen=True)
class Rows:
    """Rows, and where they come from."""

    rows: list[Row]
    source: Literal["training", "made"]


def rows_of(run: RunFolder | None, use: Use, count: int) -> Rows:
    """Return ``count`` rows, always the same ones."""
    if use.kind == "diffusion":
        count = min(count, FEW)
    found = [] if run is None or not count else list(islice(_of_training(run), SEEN))
    if found:
        return Rows(random.Random(0).sample(found, min(count, len(found))), "training")
    sounds = use.modality == "audio"
    made = [Row(_sound(seed) if sounds else _picture(seed), PROMPT) for seed in range(min(count, MADE))]
    return Rows(made, "made")


def _of_training(run: RunFolder) -> Iterator[Row]:
    """Yield the first rows of a training; none where its data is not there any more."""
    try:
        with where_trained(run):
            for example in read(run.plan().spec.datasets):
                if isinstance(example, RowFault) or not (names := media.named(example)):
                    continue
                yield Row(media.read(names[0], example.where), _text(example))
    except (DataError, OSError):
        return


def _text(example: Example) -> str:
    match example:
        case CaptionedImage(caption=caption):
            return caption
        case ImageQuestion(question=question):
            return question
    return PROMPT


def _picture(seed: int) -> bytes:
    """Make a picture of noise as PNG."""
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 256, (64, 80, 3), np.uint8)
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def _sound(seed: int) -> bytes:
    """Make a second of noise as WAV."""
    import wave

    samples = (np.random.default_rng(seed).normal(0, 0.1, 16_000).clip(-1, 1) * 32767).astype("<i2")
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setparams((1, 2, 16_000, len(samples), "NONE", ""))
        file.writeframes(samples.tobytes())
    return held.getvalue()
