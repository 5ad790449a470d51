"""The training modes: presets as data. A mode only fills in what the user left open.

Numbers: the parameter tables of the LLM Installer training guide (``docs/reference/defaults.md``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Mode:
    """A preset."""

    name: str
    rate: float
    """Factor on the base learning rate."""
    epochs: int | None
    """None: no end (non-stop), or as many as ``recipe.circular.cycles`` (circular)."""
    effective_batch: int
    """Rows per optimizer step that the plan aims at."""
    evaluation_share: float
    """Share of an epoch between two evaluations."""
    summary: str
    schedule: str = "cosine"


CIRCULAR, NON_STOP, ADAPTIVE = "circular", "non-stop", "adaptive"

MODES: Final = {
    mode.name: mode
    for mode in (
        Mode("slow", 0.5, 5, 32, 0.10, "highest quality, for production models"),
        Mode("medium", 1.0, 3, 16, 0.05, "balanced; the default"),
        Mode("fast", 2.0, 1, 8, 0.02, "quick iteration"),
        Mode(CIRCULAR, 0.8, None, 4, 0.01, "cycles over a small data set with a growing batch"),
        Mode(NON_STOP, 0.3, None, 32, 0.20, "goes on until it is stopped, then lands", "constant"),
        Mode(ADAPTIVE, 1.0, 3, 16, 0.05, "changes rate and batch by the trend of the validation loss"),
        Mode("ultra", 0.25, 8, 64, 0.10, "longest and most careful", "cosine_with_restarts"),
    )
}

ALIASES: Final = {"quality": "slow", "balanced": "medium", "quick": "fast", "circle": "circular", "nonstop": "non-stop"}
"""Other names for the same modes."""

GROWS_EVERY: Final = 5
"""Passes over the data after which the batch of mode circular grows."""
LARGEST_GROWN: Final = {"cpu": 8, "cuda": 32}
"""Rows that a growing batch grows to, at most; one that begins larger stays as it is."""


def grown_batch(batch: int, growth: float, passes: int, largest: int) -> int:
    """Return the rows of a step after so many passes; growing never makes a batch smaller."""
    limit = max(batch, largest)
    for _ in range(passes // GROWS_EVERY if growth > 1 else 0):
        if batch == limit:
            break
        batch = min(limit, math.ceil(batch * growth))
    return batch
