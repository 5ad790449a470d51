"""How long a run is and how many rows its steps take: pure functions of the place in the data.

A place is a pass over the rows (counted from 0) and how many rows of it are taken. It stands in every checkpoint, so a
batch that grows or doubles on the way leaves a resumed run exactly where it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tunesmith.spec.modes import grown_batch

LANDING_SHARE: Final = 0.02
"""Steps of a landing, as a share of the steps before it ..."""
LONGEST_LANDING: Final = 200
"""... and at most so many."""


@dataclass(frozen=True)
class Course:
    """The way that a run takes through its rows."""

    batch: int
    """Rows of an optimizer step at the start."""
    epochs: float | None
    """Passes over the rows; None: no end."""
    max_steps: int | None = None
    """Steps of this run, at most."""
    growth: float = 1.0
    """Factor on the batch every ``spec.modes.GROWS_EVERY`` passes."""
    largest_batch: int = 0
    """Rows that a growing batch grows to, at most."""
    lands: bool = False
    """Whether the rate falls to nothing over some last steps, which begin when the run is asked to end."""


def steps_per_epoch(rows: int, batch: int, place: int = 0) -> int:
    """Optimizer steps from ``place`` to the end of a pass; the last one may hold fewer rows."""
    return -((place - rows) // batch)


def batch_of_pass(course: Course, rows: int, number: int) -> int:
    """Rows of a step in pass ``number``; growing never makes a batch smaller, and stops at what one step can hold."""
    return grown_batch(course.batch, course.growth, number, min(course.largest_batch, rows))


def steps_left(course: Course, rows: int, batch: int, epoch: int = 0, place: int = 0) -> int | None:
    """Optimizer steps from a place to the end of the data, with the batch as it is there; None without an end."""
    if course.epochs is None:
        return None
    left = 0
    for number in range(epoch, math.ceil(course.epochs)):
        size = batch_of_pass(course, rows, number) if course.growth > 1 else batch
        whole = steps_per_epoch(rows, size)
        # Rounded, so that 1.1 epochs of 10 steps are 11 of them.
        wanted = math.ceil(round(min(1.0, course.epochs - number) * whole, 6))
        done = whole - steps_per_epoch(rows, size, place) if number == epoch else 0
        left += max(0, wanted - done)
    return left


def landing_steps(step: int) -> int:
    """Steps of a landing that begins after ``step`` steps."""
    return max(1, min(LONGEST_LANDING, math.ceil(LANDING_SHARE * step)))
