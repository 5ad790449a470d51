"""From what was found of each row, for a model and its baseline, to measurements with intervals and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tunesmith.data.token_rows import Indices
from tunesmith.modalities.text.metrics import LARGEST, SCORES
from tunesmith.spec.evaluation import Answered, Measurement
from tunesmith.training.scoring import RowScores
from tunesmith.worker.bootstrap import Statistic, Sums, difference

PERPLEXITY, ACCURACY = "perplexity", "token_accuracy"
NO_DIFFERENCE: Final = 1e-3
"""Share of a perplexity below which a difference says nothing, however sure: rounding in 16 bits makes as much."""


@dataclass(frozen=True)
class Resampling:
    """How intervals are made."""

    resamples: int
    confidence: float
    seed: int


def by_example(scores: RowScores, owners: Indices, examples: int) -> Sums:
    """Sum the scores of each example's rows: (examples, 3) of nats, labels foreseen, and labels."""
    columns = [np.bincount(owners, each, examples) for each in (scores.nats, scores.right, scores.labels)]
    return np.stack(columns, 1)


def of_scores(
    model: Sums, baseline: Sums | None, wanted: Sequence[str], how: Resampling, *, tokens: bool
) -> list[Measurement]:
    """Measure perplexity and, where both models read the same ``tokens``, the share of tokens foreseen."""
    found = []
    if PERPLEXITY in wanted:
        found.append(_compared(PERPLEXITY, model, baseline, _perplexities, how, higher=False))
    if ACCURACY in wanted and tokens:
        found.append(_compared(ACCURACY, model, baseline, lambda sums: sums[:, 1] / sums[:, 2], how, higher=True))
    return found


def of_answers(answers: Sequence[Answered], wanted: Sequence[str], how: Resampling) -> list[Measurement]:
    """Measure what the answers share with the expected ones, in the mean over all that have one."""
    known = [answer for answer in answers if answer.expected is not None]
    found = []
    for name in SCORES:
        if name in wanted and known:
            model = _column([answer.scores for answer in known], name)
            compared = all(answer.baseline is not None for answer in known)
            baseline = _column([answer.baseline_scores for answer in known], name) if compared else None
            found.append(_compared(name, model, baseline, lambda sums: sums[:, 0] / sums[:, 1], how, higher=True))
    return found


def answered(prompt: str, expected: str | None, model: str, baseline: str | None, wanted: Sequence[str]) -> Answered:
    """Put the answers to a prompt side by side, each with its scores."""
    return Answered(
        prompt=prompt,
        expected=expected,
        model=model,
        baseline=baseline,
        scores=_scores(model, expected, wanted),
        baseline_scores=_scores(baseline, expected, wanted),
    )


def _scores(answer: str | None, expected: str | None, wanted: Sequence[str]) -> dict[str, float]:
    if answer is None or expected is None:
        return {}
    return {name: score(answer, expected) for name, score in SCORES.items() if name in wanted}


def _column(scores: Sequence[Mapping[str, float]], name: str) -> Sums:
    """Return (answers, 2): the score, and 1."""
    return np.array([(each[name], 1.0) for each in scores], np.float64)


def _perplexities(sums: Sums) -> Sums:
    values: Sums = np.exp(np.minimum(sums[:, 0] / sums[:, 2], LARGEST))
    return values


def _compared(
    name: str, model: Sums, baseline: Sums | None, statistic: Statistic, how: Resampling, *, higher: bool
) -> Measurement:
    value = float(statistic(model.sum(0)[None])[0])
    if baseline is None:
        return Measurement(metric=name, model=value, higher_is_better=higher)
    other = float(statistic(baseline.sum(0)[None])[0])
    found = difference(
        model, baseline, statistic, resamples=how.resamples, confidence=how.confidence, seed=how.seed
    )  # fmt: skip
    smallest = NO_DIFFERENCE * other if name == PERPLEXITY else 0.0
    return Measurement(
        metric=name,
        model=value,
        baseline=other,
        higher_is_better=higher,
        difference=found.value,
        low=found.low,
        high=found.high,
        verdict=found.verdict(len(model), higher_is_better=higher, smallest=smallest),
    )
