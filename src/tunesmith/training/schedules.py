"""Learning rate over time, as pure functions of the step. A new schedule is one entry in ``SHAPES``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

SHAPES: Final[dict[str, Callable[[float], float]]] = {
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "linear": lambda done: 1 - done,
    "constant": lambda done: 1.0,
}
"""Factor on the learning rate after ``done`` (0 to 1) of the steps that follow the warm-up."""


def warmup_steps(total: int, ratio: float) -> int:
    """Steps over which the learning rate rises from zero."""
    return math.ceil(total * ratio) if ratio > 0 else 0


def factor(schedule: str, step: int, total: int, warmup: int) -> float:
    """Factor on the highest learning rate at optimizer step ``step``, counted from 0."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return SHAPES[schedule](min(1.0, (step - warmup) / max(1, total - warmup)))
