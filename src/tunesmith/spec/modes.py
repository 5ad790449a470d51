"""The training modes: presets as data. A mode only fills in what the user left open.

Numbers: the parameter tables of the LLM Installer training guide (``docs/reference/defaults.md``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Mode:
    """A preset."""

    name: str
    rate: float
    """Factor on the base learning rate."""
    epochs: int
    effective_batch: int
    """Rows per optimizer step that the plan aims at."""
    evaluation_share: float
    """Share of an epoch between two evaluations."""
    summary: str


MODES: Final = {
    mode.name: mode
    for mode in (
        Mode("slow", 0.5, 5, 32, 0.10, "highest quality, for production models"),
        Mode("medium", 1.0, 3, 16, 0.05, "balanced; the default"),
        Mode("fast", 2.0, 1, 8, 0.02, "quick iteration"),
    )
}

ALIASES: Final = {"quality": "slow", "balanced": "medium", "quick": "fast"}
"""Other names for the same modes."""
