"""Is the difference between two models more than the choice of rows? A paired bootstrap over the rows answers.

Rows are drawn again and again, with replacement, the same for both models; between which values the difference lies in
most of the draws is its interval (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.spec.evaluation import Verdict

FEWEST: Final = 10
"""Rows below which nothing is told: the interval of so few is too narrow."""
NUMBERS_AT_ONCE: Final = 1 << 22
"""Numbers of draws held at once."""

Sums = NDArray[np.float64]
Statistic = Callable[[Sums], Any]
"""Maps sums over drawn rows, (draws, columns), to one number for each draw; NaN where a draw has nothing to tell."""


@dataclass(frozen=True)
class Difference:
    """Model minus baseline, with its interval."""

    value: float
    low: float
    high: float

    def verdict(self, rows: int, *, higher_is_better: bool, smallest: float = 0.0) -> Verdict:
        """Say which is better; of a difference not above ``smallest``, or of fewer than ``FEWEST`` rows, nothing."""
        low, high = (self.low, self.high) if higher_is_better else (-self.high, -self.low)
        if rows < FEWEST or abs(self.value) <= smallest:
            return Verdict.CANNOT_TELL
        return Verdict.BETTER if low > 0 else Verdict.WORSE if high < 0 else Verdict.CANNOT_TELL


def difference(
    model: Sums, baseline: Sums, statistic: Statistic, *, resamples: int, confidence: float, seed: int
) -> Difference:
    """Compare a statistic of two models; ``model`` and ``baseline`` are (rows, columns) of the same rows."""
    value = float(statistic(model.sum(0)[None])[0] - statistic(baseline.sum(0)[None])[0])
    parts = [statistic(draw @ model) - statistic(draw @ baseline) for draw in _draws(len(model), resamples, seed)]
    return within(value, np.concatenate(parts), confidence)


def within(value: float, drawn: NDArray[np.float64], confidence: float) -> Difference:
    """Return a difference with the interval that a share of the drawn ones lies in, of those that are numbers."""
    tail, told = (1 - confidence) / 2, drawn[~np.isnan(drawn)]
    low, high = np.quantile(told, [tail, 1 - tail]) if len(told) else (-np.inf, np.inf)
    return Difference(value, float(low), float(high))


def drawn_rows(rows: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield the places of the rows of each draw, for figures that are no sums; as ``difference`` draws them."""
    for draws in _draws(rows, resamples, seed):
        for counts in draws:
            yield np.repeat(np.arange(rows), counts.astype(np.int64))


def _draws(rows: int, resamples: int, seed: int) -> Iterator[Sums]:
    """Yield how often each row is drawn: (some draws, rows)."""
    random = np.random.default_rng(seed)
    at_once = max(1, NUMBERS_AT_ONCE // rows)
    shares = np.full(rows, 1 / rows)
    for begin in range(0, resamples, at_once):
        yield random.multinomial(rows, shares, size=min(at_once, resamples - begin)).astype(np.float64)
