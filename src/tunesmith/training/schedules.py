"""Learning rate over time, as pure functions of the step. A new schedule is one entry in ``SHAPES``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple


class Curve(NamedTuple):
    """A schedule and what shapes it."""

    name: str
    cycles: int = 1
    """Waves of cosine_with_restarts."""
    decay: float = 1.0
    """Share of the steps after the warm-up over which wsd falls to zero."""


SHAPES: Final[dict[str, Callable[[float, Curve], float]]] = {
    "cosine": lambda done, _: 0.5 * (1 + math.cos(math.pi * done)),
    "linear": lambda done, _: 1 - done,
    "constant": lambda done, _: 1.0,
    "cosine_with_restarts": lambda done, curve: _waves(done, curve.cycles),
    "wsd": lambda done, curve: min(1.0, (1 - done) / curve.decay),
}
"""Factor on the learning rate after ``done`` (0 to 1) of the steps that follow the warm-up."""


def warmup_steps(total: int, ratio: float, steps: int | None = None) -> int:
    """Steps over which the learning rate rises from zero: so many, else this share of all."""
    if steps is not None:
        return min(steps, total)
    return math.ceil(total * ratio) if ratio > 0 else 0


def factor(curve: Curve, step: float, total: int | None, warmup: int) -> float:
    """Factor on the highest learning rate at optimizer step ``step``, counted from 0; without an end it stays there."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if total is None:
        return 1.0
    rest = max(1, total - warmup)
    shared = curve._replace(decay=min(1.0, curve.decay * total / rest))  # The share is one of all the steps.
    return SHAPES[curve.name](min(1.0, (step - warmup) / rest), shared)


def landing_factor(step: int, steps: int) -> float:
    """Factor on the rate at step ``step`` (from 0) of a landing: down a straight line, never quite to zero."""
    return (steps - step) / (steps + 1)


def _waves(done: float, cycles: int) -> float:
    if done >= 1.0:
        return 0.0
    return 0.5 * (1 + math.cos(math.pi * (cycles * done % 1.0)))
