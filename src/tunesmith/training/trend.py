"""Where a few losses in a row are heading."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WINDOW: Final = 5
"""Evaluations that a trend is read from."""


@dataclass(frozen=True)
class Trend:
    """The straight line through some losses, by least squares."""

    slope: float
    """Change of the loss from one evaluation to the next."""
    error: float
    """Standard error of the slope: how far the losses' own jitter alone would tilt the line."""
    mean: float


def trend(losses: Sequence[float]) -> Trend:
    """Fit a line to losses that were measured at equal distances; there are two of them at least."""
    count = len(losses)
    middle, mean = (count - 1) / 2, sum(losses) / count
    spread = sum((place - middle) ** 2 for place in range(count))
    slope = sum((place - middle) * loss for place, loss in enumerate(losses)) / spread
    left = sum((loss - mean - slope * (place - middle)) ** 2 for place, loss in enumerate(losses))
    error = math.sqrt(left / (count - 2) / spread) if count > 2 else 0.0
    return Trend(slope, error, mean)
