"""The paired bootstrap: what it calls better, and how often it is wrong where there is no difference."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.spec.evaluation import Verdict
from tunesmith.worker.bootstrap import FEWEST, Difference, Sums, difference

ROWS = 60


def mean(sums: Sums) -> Sums:
    return sums[:, 0] / sums[:, 1]


def columns(values: Sums) -> Sums:
    return np.stack([values, np.ones(len(values))], 1)


def compared(model: Sums, baseline: Sums, seed: int = 1, confidence: float = 0.95) -> Difference:
    return difference(columns(model), columns(baseline), mean, resamples=500, confidence=confidence, seed=seed)


def test_a_small_shift_of_every_row_is_found_though_rows_differ_far_more() -> None:
    rows = np.random.default_rng(0).normal(size=ROWS)
    found = compared(rows + 0.05 + 0.01 * np.sin(np.arange(ROWS)), rows)
    assert found.low < found.value < found.high
    assert found.value == pytest.approx(0.05, abs=0.005)
    assert found.verdict(ROWS, higher_is_better=True) is Verdict.BETTER
    assert found.verdict(ROWS, higher_is_better=False) is Verdict.WORSE


def test_equal_models_differ_by_nothing() -> None:
    rows = np.random.default_rng(0).normal(size=ROWS)
    found = compared(rows, rows)
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert found.verdict(ROWS, higher_is_better=True) is Verdict.CANNOT_TELL


def test_of_models_that_differ_by_chance_alone_one_in_twenty_is_called_different() -> None:
    random = np.random.default_rng(0)
    verdicts = [
        compared(*random.normal(size=(2, ROWS)), seed=place).verdict(ROWS, higher_is_better=True)
        for place in range(300)
    ]
    wrong = sum(verdict is not Verdict.CANNOT_TELL for verdict in verdicts) / len(verdicts)
    assert 0.01 < wrong < 0.10


def test_the_seed_decides_and_more_confidence_is_a_wider_interval() -> None:
    random = np.random.default_rng(3)
    model, baseline = random.normal(size=(2, ROWS))
    assert compared(model, baseline, seed=1) == compared(model, baseline, seed=1)
    assert compared(model, baseline, seed=1) != compared(model, baseline, seed=2)
    narrow, wide = compared(model, baseline, confidence=0.8), compared(model, baseline, confidence=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_few_rows_and_differences_that_say_nothing_get_no_verdict() -> None:
    sure = Difference(0.5, 0.4, 0.6)
    assert sure.verdict(FEWEST, higher_is_better=True) is Verdict.BETTER
    assert sure.verdict(FEWEST - 1, higher_is_better=True) is Verdict.CANNOT_TELL
    assert sure.verdict(FEWEST, higher_is_better=True, smallest=0.5) is Verdict.CANNOT_TELL


def test_long_rows_weigh_more_where_the_statistic_is_of_their_tokens() -> None:
    model = np.array([[1.0, 1.0], [30.0, 10.0]])
    baseline = np.array([[2.0, 1.0], [20.0, 10.0]])
    found = difference(model, baseline, mean, resamples=100, confidence=0.95, seed=0)
    assert found.value == pytest.approx(31 / 11 - 22 / 11)
