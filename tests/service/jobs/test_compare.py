"""Runs side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_plan import sample_plan
from tunesmith.modalities import MODALITIES
from tunesmith.runs.event_log import EventWriter
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.compare import HIGHER, LOWER, compare
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


def test_what_the_task_measured_last_is_shown_and_the_better_one_marked(tmp_path: Path) -> None:
    runs = [run(tmp_path, name, rank=4, loss=1.5) for name in ("a", "b")]
    told = [
        {"accuracy": 0.9, "macro_f1": 0.8, "reward_accuracy": 0.7, "reward_margin": -0.1, "perplexity": 4.0},
        {"accuracy": 0.8, "macro_f1": 0.9, "reward_accuracy": 0.6, "reward_margin": 0.1, "perplexity": 5.0},
    ]
    for folder, metrics in zip(runs, told, strict=True):
        log = EventWriter(folder.events)
        log.append(
            Evaluated(number=2, step=8, epoch=2, seconds=4, train_loss=1, validation_loss=1.5,
                      best_validation_loss=1.5, patience=0, metrics={**metrics, "f1 of ham": 0.5})
        )  # fmt: skip
    found = compare(runs)
    best = {"accuracy": 0, "macro f1": 1, "reward accuracy": 0, "reward margin": 1, "perplexity": 0}
    assert best.items() <= found.best.items()
    assert found.results["accuracy"] == [0.9, 0.8]
    assert found.results["macro f1"] == [0.8, 0.9]
    assert "f1 of ham" not in found.results


def test_speed_is_compared_in_what_the_tasks_count(tmp_path: Path) -> None:
    runs = [run(tmp_path, name, rank=4, loss=1.5, data=name, done=False) for name in ("a", "b", "c")]
    for folder, counts, speed in zip(runs, ("picture", "picture", "sound"), (4.0, 8.0, 2.0), strict=True):
        summary = {"counts": counts, "rows_per_second": speed, "tokens_per_second": 900.0}
        EventWriter(folder.events).append(Finished(summary=summary, artifacts=None))
    found = compare(runs)
    assert found.results["pictures per second"] == [4.0, 8.0, None]
    assert found.results["sounds per second"] == [None, None, 2.0]
    assert found.best["pictures per second"] == 1
    assert "tokens per second" not in found.results
    assert "different rows" in found.warnings[0]


def test_what_pictures_and_sounds_are_judged_by_is_compared(tmp_path: Path) -> None:
    runs = [run(tmp_path, name, rank=4, loss=1.5) for name in ("a", "b")]
    told = [{"map": 0.5, "map_50": 0.7, "wer": 0.2, "recall_at_1": 0.4}, {"map": 0.4, "map_50": 0.8, "wer": 0.1}]
    for folder, metrics in zip(runs, told, strict=True):
        EventWriter(folder.events).append(
            Evaluated(number=2, step=8, epoch=2, seconds=4, train_loss=1, validation_loss=1.5,
                      best_validation_loss=1.5, patience=0, metrics=metrics)
        )  # fmt: skip
    found = compare(runs)
    assert {"map": 0, "map 50": 1, "wer": 1}.items() <= found.best.items()
    assert found.results["recall at 1"] == [0.4, None]


def test_every_metric_that_a_task_is_judged_by_is_compared() -> None:
    for modality in MODALITIES.values():
        for judged in (name for task in modality.tasks for name in (task.judged_by, *task.may_judge) if name):
            assert judged.lstrip("-") in (LOWER if judged.startswith("-") else HIGHER)


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
