"""When to stop: pure functions over the history of losses, each with the numbers it went by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from tunesmith.training.trend import WINDOW, trend

RISING: Final = 0.001
"""Slope of the validation loss, in nats per evaluation, above which it counts as rising."""
SEVERE: Final = 0.5
"""Gap between validation and training loss, as a share of the latter, from which overfitting is severe."""
NOTHING: Final = 1e-6
"""Mean training loss below which a share of it means nothing."""
EXPLODING: Final = 0.01
"""Slope of the validation loss from which a high perplexity is an explosion ..."""
EXPLODED: Final = 1.0
"""... and the mean validation loss that it takes."""
LOSSES: Final = 10
"""Training losses whose mean is compared."""


class Evaluation(NamedTuple):
    """What one evaluation found."""

    step: int
    train_loss: float | None
    """Mean of the last ``LOSSES`` training losses; None before the first step."""
    validation_loss: float


@dataclass(frozen=True)
class Thresholds:
    """What stops a run; None switches a stop off."""

    patience: int | None = None
    overfitting: float | None = None
    min_evaluations: int = 5
    perfect_loss: float | None = None
    perplexity_limit: float | None = None


@dataclass(frozen=True)
class Stop:
    """Why a run stops."""

    field: str
    """The setting of the recipe that it went by."""
    reason: str
    """In plain words, as the end of a sentence that begins with "stopped:"."""
    numbers: dict[str, float]


@dataclass(frozen=True)
class Judge:
    """What decides which weights are best: the validation loss, or a metric of the task.

    A metric takes few values where few rows are held out, so the same value with a lower loss is better too.
    """

    metric: str | None = None
    """None: the loss. Higher is better, unless the name begins with a minus sign."""
    min_delta: float = 0.0

    @property
    def name(self) -> str:
        """What it goes by, in plain words."""
        return "loss" if self.metric is None else self.metric.lstrip("-").replace("_", " ")

    def value(self, loss: float, metrics: Mapping[str, float]) -> float:
        """Return what an evaluation is judged by; a metric that could not be measured is not a number."""
        return loss if self.metric is None else metrics.get(self.metric.lstrip("-"), math.nan)

    def improved(self, loss: float, value: float, best_loss: float | None, best: float | None) -> bool:
        """Whether an evaluation counts as better than the best so far."""
        if best_loss is None:
            return True
        if self.metric is None:
            return loss < best_loss - self.min_delta
        if best is None or not math.isfinite(best) or not math.isfinite(value):
            return math.isfinite(value) and (best is None or not math.isfinite(best))
        gain = best - value if self.metric.startswith("-") else value - best
        return gain > self.min_delta or (gain == 0 and loss < best_loss)


def validation_stop(
    history: Sequence[Evaluation], waited: int, limits: Thresholds, judged_by: str = "loss"
) -> Stop | None:
    """Judge by the validation losses; ``waited`` are the evaluations in a row without a better one."""
    judged = [one for one in history if one.train_loss is not None]
    if len(judged) >= limits.min_evaluations:
        window = judged[-WINDOW:]
        found = _overfitting(window, limits.overfitting) or _explosion(window, limits.perplexity_limit)
        if found is not None:
            return found
    if limits.patience is not None and waited >= limits.patience:
        reason = f"no better validation {judged_by} in {waited} evaluations"
        return Stop("recipe.stopping.patience", reason, {"waited": waited, "patience": limits.patience})
    return None


def training_stop(losses: Sequence[float], limits: Thresholds) -> Stop | None:
    """Judge by the last training losses alone: whether there is anything left to learn."""
    if limits.perfect_loss is None or len(losses) < LOSSES:
        return None
    mean = sum(losses[-LOSSES:]) / LOSSES
    if mean >= limits.perfect_loss:
        return None
    reason = f"perfect loss: {mean:.4g} over the last {LOSSES} steps, below {limits.perfect_loss:g}"
    return Stop("recipe.stopping.perfect_loss", reason, {"train_loss": mean, "threshold": limits.perfect_loss})


def _overfitting(window: Sequence[Evaluation], threshold: float | None) -> Stop | None:
    if threshold is None:
        return None
    line = trend([one.validation_loss for one in window])
    train = sum(one.train_loss or 0.0 for one in window) / len(window)
    numbers = {"train_loss": train, "validation_loss": line.mean, "slope": line.slope, "threshold": threshold}
    field = "recipe.stopping.overfitting_threshold"
    if train < NOTHING:
        fit = "a perfect fit" if line.mean < NOTHING else "severe overfitting"
        return Stop(field, f"{fit}: training loss {train:.2g}, validation loss {line.mean:.4g}", numbers)
    gap = (line.mean - train) / train
    if line.slope <= RISING or gap <= threshold:
        return None
    degree = "severe" if gap > SEVERE else "moderate"
    reason = (
        f"{degree} overfitting: the validation loss rises by {line.slope:.4f} an evaluation "
        f"and lies {gap:.0%} above the training loss"
    )
    return Stop(field, reason, {**numbers, "gap": gap})


def _explosion(window: Sequence[Evaluation], limit: float | None) -> Stop | None:
    if limit is None:
        return None
    line = trend([one.validation_loss for one in window])
    if line.mean <= max(EXPLODED, math.log(limit)) or line.slope <= EXPLODING:
        return None
    reason = (
        f"perplexity explosion: the validation loss of {line.mean:.4g} stands for a perplexity above {limit:g} "
        f"and rises by {line.slope:.4f} an evaluation"
    )
    numbers = {"validation_loss": line.mean, "log_perplexity": line.mean, "slope": line.slope, "limit": limit}
    return Stop("recipe.stopping.perplexity_limit", reason, numbers)
