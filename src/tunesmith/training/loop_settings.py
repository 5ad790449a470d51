"""What the loop is told: plain parameters, every one of them from the plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunesmith.training.course import Course
from tunesmith.training.schedules import Curve
from tunesmith.training.stopping import Judge, Thresholds


@dataclass(frozen=True)
class LoopSettings:
    """How to go about it."""

    seed: int
    course: Course
    micro_tokens: int
    optimizer: str
    learning_rate: float
    curve: Curve
    warmup_ratio: float
    weight_decay: float
    max_grad_norm: float
    evaluate_every: int
    """Steps of a pass between two evaluations; its end is always evaluated."""
    save_every: int
    judge: Judge
    stops: Thresholds
    warmup_steps: int | None = None
    """Takes the place of the ratio where it is given."""
    precision: str = "fp32"
    """Number format of the computation."""
    adaptive: bool = False
    """Whether the trend of the validation loss changes rate and batch."""
    forced: bool = False
    """Whether nothing stops the run before its end, and the last weights are its result."""
    counts: str = "token"
    """What speed is told in."""


@dataclass(frozen=True)
class Origin:
    """The checkpoint of another run that this one continues."""

    folder: Path
    state: bool
    """Whether the optimizer's state, the step counter and the place on the schedule are taken over too."""
