"""Mode adaptive: what the trend of the validation loss changes about rate and batch. Pure.

The loss on the same rows jitters from one evaluation to the next with the noise of the steps between them. A slope only
counts as a rise or as steady improvement where it is at least twice its standard error, which that jitter makes; and a
plateau is what changes less than half a percent over the whole window. After a change the window starts anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tunesmith.training.trend import WINDOW, trend

FLAT: Final = 0.005
"""Change of the loss over the window, as a share of its mean, up to which it is a plateau; above, it rises."""
STEADY: Final = 0.02
"""Fall of the loss over the window, as a share of its mean, from which it improves steadily."""
SURE: Final = 2.0
"""Standard errors of the slope that a rise or a steady improvement takes."""
HIGHEST, LOWEST = 2.0, 1 / 16
"""Factors on the learning rate that no change goes beyond: at the lower one there is nothing left to halve."""
RAISE: Final = 1.1
LARGEST: Final = 4
"""Times the starting batch that the batch grows to, at most."""

Kind = Literal["plateau", "rise", "improvement"]


@dataclass(frozen=True)
class Change:
    """What is different from now on."""

    kind: Kind
    pace: float
    """Factor on the scheduled learning rate."""
    batch: int
    """Rows of a step."""
    goes_back: bool
    """Whether training returns to the weights and the optimizer's state of the best evaluation."""
    numbers: dict[str, float]


def change(losses: Sequence[float], *, pace: float, batch: int, first_batch: int) -> Change | None:
    """Decide by the validation losses since the last change, the newest last; None leaves everything as it is."""
    if len(losses) < WINDOW:
        return None
    line = trend(losses[-WINDOW:])
    moved = line.slope * (WINDOW - 1) / max(line.mean, 1e-12)
    sure = abs(line.slope) >= SURE * line.error
    numbers = {
        "slope": line.slope,
        "error": line.error,
        "change": moved,
        "rate_factor_before": pace,
        "batch_before": batch,
    }
    if moved > FLAT and sure and losses[-1] > min(losses[-WINDOW:]):
        calmer, larger = max(LOWEST, pace / 2), min(LARGEST * first_batch, 2 * batch)
        spent = (calmer, larger) == (pace, batch)
        return None if spent else Change("rise", calmer, larger, goes_back=True, numbers=numbers)
    if moved >= -FLAT:
        return None if pace <= LOWEST else Change("plateau", max(LOWEST, pace / 2), batch, False, numbers)
    if moved <= -STEADY and sure and pace < HIGHEST:
        return Change("improvement", min(HIGHEST, pace * RAISE), batch, False, numbers)
    return None
