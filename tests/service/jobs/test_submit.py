from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from sample_plan import sample_plan
from scripted_worker import WORKER
from service.jobs.conftest import Begin, until_over
from tunesmith.executors.base import Executor
from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import Handle
from tunesmith.runs.publish import published_run
from tunesmith.runs.status import status
from tunesmith.service.jobs.control import stop_now
from tunesmith.service.jobs.submit import plan_job, start
from tunesmith.settings import Settings
from tunesmith.spec.errors import DataError, DiskFull, ModelNotFound, OutputBusy, OutputUnusable
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef
from tunesmith.spec.states import RunState


def job(model: Path | str, data: Path | str) -> JobSpec:
    return JobSpec(model=ModelRef(source=str(model)), datasets=[DatasetRef(uri=str(data))])


def test_a_plan_leaves_nothing_open(settings: Settings, tiny_model: Path, chat_file: Path) -> None:
    plan = plan_job(job(tiny_model, chat_file), settings)
    assert plan.spec.task == "chat"
    assert plan.spec.name
    assert plan.data.rows == 40
    assert plan.model.path == str(tiny_model)
    assert plan.steps > 0
    recipe = plan.spec.recipe
    assert None not in (recipe.method, recipe.length, recipe.epochs, recipe.learning_rate, recipe.precision)


def test_a_plan_names_pulled_data_by_its_files(settings: Settings, tiny_model: Path, chat_file: Path) -> None:
    pulled = settings.datasets_dir / "mine"
    pulled.mkdir(parents=True)
    os.link(chat_file, pulled / "chat.jsonl")
    plan = plan_job(job(tiny_model, "mine"), settings)
    assert plan.spec.datasets[0].uri == str(pulled / "chat.jsonl")


def test_without_model_or_data_there_is_no_plan(settings: Settings, tiny_model: Path, chat_file: Path) -> None:
    with pytest.raises(ModelNotFound):
        plan_job(job("./no-such-model", chat_file), settings)
    with pytest.raises(DataError):
        plan_job(job(tiny_model, "no-such-data.jsonl"), settings)


def test_a_run_publishes_its_result(begin: Begin, output: Path) -> None:
    run = until_over(begin())
    assert status(run).state is RunState.SUCCEEDED
    assert published_run(output) == run.id
    assert (output / "steps.txt").read_text() == "3"


def test_two_runs_at_the_same_time_do_not_share_an_output(begin: Begin, settings: Settings, output: Path) -> None:
    first = begin("wait")
    with pytest.raises(OutputBusy, match=first.id):
        begin()
    assert [path.name for path in settings.runs_dir.iterdir()] == [first.id]
    stop_now(first)
    later = until_over(begin())
    assert published_run(output) == later.id


def test_a_failed_run_leaves_the_earlier_result(begin: Begin, output: Path) -> None:
    first = until_over(begin())
    for does in ("crash", "be killed"):
        until_over(begin(does))
    assert published_run(output) == first.id


def test_the_model_is_never_overwritten_by_what_is_trained_from_it(settings: Settings, output: Path) -> None:
    plan = sample_plan(output)
    plan = plan.model_copy(update={"model": plan.model.model_copy(update={"path": str(output)})})
    with pytest.raises(OutputUnusable, match="the model"):
        start(plan, settings)


def test_what_cannot_be_started_leaves_nothing_behind(settings: Settings, output: Path) -> None:
    class FullMachine:
        def launch(self, run: RunFolder, **rest: object) -> object:
            raise DiskFull(run.path, 1, 0)

    executor: Executor = FullMachine()  # type: ignore[assignment]
    with pytest.raises(DiskFull):
        start(sample_plan(output), settings, executor=executor)
    assert list(settings.runs_dir.iterdir()) == []
    assert list(output.iterdir()) == []


def test_an_interrupted_start_leaves_no_worker_behind(settings: Settings, output: Path) -> None:
    launched = []

    class Interrupted(LocalExecutor):
        def launch(self, run: RunFolder, *, env: Mapping[str, str], processes: int = 1) -> Handle:
            launched.append(super().launch(run, env=env, processes=processes))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(sample_plan(output, does="wait"), settings, executor=Interrupted(worker=WORKER))
    assert [handle.is_alive for handle in launched] == [False]
    assert list(settings.runs_dir.iterdir()) == []
    assert list(output.iterdir()) == []


def test_a_relative_output_starts_from_the_working_folder(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = until_over(start(sample_plan(Path("results/x")), settings))
    assert run.header().output == str(tmp_path / "results" / "x")
    assert published_run(tmp_path / "results" / "x") == run.id
