"""Runs side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_plan import sample_plan
from tunesmith.runs.event_log import EventWriter
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.compare import compare
from tunesmith.spec.errors import WrongRunState
from tunesmith.spec.events import Evaluated, Finished, Prepared


def run(home: Path, name: str, *, rank: int, loss: float, data: str = "same", done: bool = True) -> RunFolder:
    plan = sample_plan(home / name)
    adapter = plan.spec.recipe.adapter.model_copy(update={"rank": rank})
    recipe = plan.spec.recipe.model_copy(update={"adapter": adapter})
    plan = plan.model_copy(update={"spec": plan.spec.model_copy(update={"recipe": recipe})})
    folder = RunFolder.create(home, kind="train", name=name, plan=plan, folder=home, output=home / name)
    log = EventWriter(folder.events)
    log.append(Prepared(rows=9, faults=0, ledger={}, cached=False, fingerprint=data))
    log.append(
        Evaluated(number=1, step=4, epoch=1, seconds=2, train_loss=1, validation_loss=loss, best_validation_loss=loss,
                  patience=0)
    )  # fmt: skip
    if done:
        log.append(Finished(summary={"seconds": 10.0 * rank, "tokens_per_second": 50.0 * rank}, artifacts=None))
    return folder


def test_only_settings_that_differ_are_named(tmp_path: Path) -> None:
    found = compare([run(tmp_path, "a", rank=4, loss=1.5), run(tmp_path, "b", rank=8, loss=1.25)])
    assert found.settings == {"recipe.adapter.rank": [4, 8]}
    assert found.results["best validation loss"] == [1.5, 1.25]
    assert found.best == {"best validation loss": 1, "tokens per second": 1, "seconds": 0}
    assert found.warnings == []


def test_equal_results_have_no_best(tmp_path: Path) -> None:
    found = compare([run(tmp_path, "a", rank=4, loss=1.5), run(tmp_path, "b", rank=8, loss=1.5)])
    assert "best validation loss" not in found.best


def test_losses_of_different_data_are_said_not_to_compare(tmp_path: Path) -> None:
    found = compare([run(tmp_path, "a", rank=4, loss=1), run(tmp_path, "b", rank=4, loss=1, data="other", done=False)])
    assert len(found.warnings) == 2
    assert "different tokens" in found.warnings[0]
    assert "has not finished" in found.warnings[1]


def test_a_run_that_trains_nothing_is_refused(tmp_path: Path) -> None:
    served = RunFolder.create(tmp_path, kind="serve", name="s", request={})
    with pytest.raises(WrongRunState, match="Only training runs"):
        compare([run(tmp_path, "a", rank=4, loss=1), served])
