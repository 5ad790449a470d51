"""Metrics of a task's own, of a model beside its base: sums of rows, and figures of all rows together."""

from __future__ import annotations

from typing import Any

import numpy as np

from tunesmith.spec.evaluation import Verdict
from tunesmith.spec.work import EvaluateRun, ModelFolders
from tunesmith.worker.objectives import _confusion, _Found, _measurements

REQUEST = EvaluateRun(model=ModelFolders(name="it", model="/nowhere"), bootstrap=200)
ROWS = 40


class Ranking:
    """Reports, of all rows together, the share that says yes."""

    objective: Any
    about: dict[str, Any]

    def __init__(self) -> None:
        self.objective = self
        self.about = {}

    def metrics(self, sums: dict[str, float], labels: float) -> dict[str, float]:
        return {}

    def figures(self, said: list[bool]) -> dict[str, float]:
        return {"recall_at_1": sum(said) / len(said)}


class Words:
    about: dict[str, Any] = {}  # noqa: RUF012

    def metrics(self, sums: dict[str, float], labels: float) -> dict[str, float]:
        return {"wer": sums["wrong"] / sums["words"]}


def found(*columns: Any, names: list[str], said: list[bool] | None = None) -> _Found:
    counted = np.ones(ROWS)
    return _Found([*names, "counted"], np.stack([*columns, counted], 1), said)


def by_name(measured: list[Any]) -> dict[str, Any]:
    return {each.metric: each for each in measured}


def test_figures_of_all_rows_have_an_interval_and_a_verdict() -> None:
    loss = np.full(ROWS, 0.5)
    better = found(loss, names=["loss"], said=[True] * ROWS)
    worse = found(loss, names=["loss"], said=[place % 4 == 0 for place in range(ROWS)])
    measured = by_name(_measurements(Ranking(), better, worse, REQUEST))
    recall = measured["recall_at_1"]
    assert (recall.model, recall.baseline, recall.verdict) == (1.0, 0.25, Verdict.BETTER)
    assert recall.low <= recall.difference <= recall.high and recall.low > 0
    assert measured["loss"].verdict is Verdict.CANNOT_TELL


def test_fewer_wrong_words_are_better_and_the_share_is_of_all_words() -> None:
    words = np.tile([1.0, 9.0], ROWS // 2)
    model = found(np.ones(ROWS), words * 0.1, words, names=["loss", "wrong", "words"])
    base = found(np.ones(ROWS), words * 0.5, words, names=["loss", "wrong", "words"])
    wer = by_name(_measurements(Words(), model, base, REQUEST))["wer"]
    assert (round(wer.model, 6), round(wer.baseline, 6), wer.verdict) == (0.1, 0.5, Verdict.BETTER)
    assert wer.higher_is_better is False


def test_each_class_is_counted_by_what_it_is_taken_for() -> None:
    true = np.array([0, 0, 1, 1] * (ROWS // 4))
    taken = np.array([0, 1, 1, 1] * (ROWS // 4))
    names = ["loss", "rows 0", "rows 1", "taken 0", "taken 1"]
    columns = [np.zeros(ROWS), true == 0, true == 1, taken == 0, taken == 1]
    pieces = Ranking()
    pieces.about = {"classes": ["cat", "dog"]}
    confusion = _confusion(pieces, found(*map(np.float64, columns), names=names))
    assert confusion is not None and confusion.counts == [[10, 10], [0, 20]]
    pieces.about = {}
    assert _confusion(pieces, found(*map(np.float64, columns), names=names)) is None
