from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sample_plan import sample_plan
from scripted_worker import WORKER
from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import handle_of
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service, open_service
from tunesmith.service.jobs import indexing, queue
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.indexing import FolderIndex, index_folders
from tunesmith.service.jobs.queue import Job, Wanted
from tunesmith.service.jobs.submit import Attempt, start
from tunesmith.settings import Settings
from tunesmith.spec.events import Started
from tunesmith.spec.states import RunState
from tunesmith.spec.work import (
    Asked,
    EvaluateRun,
    EvaluateSpec,
    Export,
    ExportRun,
    ExportSpec,
    ModelFolders,
    Quantization,
)

StartRun = Callable[..., RunFolder]


@pytest.fixture
def start_run(home: Path, tmp_path: Path) -> StartRun:
    """Start a run as the command line does."""

    def make(does: str = "train", name: str = "out", **further: Any) -> RunFolder:
        plan, executor = sample_plan(tmp_path / name, does=does), LocalExecutor(worker=WORKER)
        return start(plan, Settings(home=home), executor=executor, **further)

    return make


def finished(run: RunFolder) -> RunFolder:
    for _ in follow(run, poll=0.005):
        pass
    handle = handle_of(run)
    while handle is not None and handle.is_alive:
        pass
    return run


def only_job(service: Service) -> Job:
    (job,) = queue.listed(service, Wanted(), OPERATOR)
    return job


def test_exports_and_evaluations_of_the_command_line_become_jobs(
    service: Service, start_run: StartRun, tmp_path: Path
) -> None:
    trained = finished(start_run(name="write"))
    settings, plan = service.settings, trained.plan()
    source = ModelFolders(name="write", model=plan.model.path, run=str(trained.path))
    asked = {
        "export": ExportRun(what=Export.GGUF, source=source, quantization=Quantization.Q8_0, replay=3),
        "evaluate": EvaluateRun(model=source, prompts=[Asked(prompt="Hello?")], rows=7),
    }
    for kind, request in asked.items():
        run = RunFolder.create(
            settings.home, kind=kind, name=kind, request=request.model_dump(mode="json"),
            output=tmp_path / "export" if kind == "export" else None,
        )  # fmt: skip
        LocalExecutor(worker=WORKER).launch(run, env={})
        finished(run)
    assert index_folders(service) == 3

    (export,) = queue.listed(service, Wanted(kinds=("export",)), OPERATOR)
    assert (export.state, export.indexed, export.device) == (RunState.SUCCEEDED, True, "side")
    assert export.work == ExportSpec(
        source=f"run:{trained.id}", what=Export.GGUF, quantization=Quantization.Q8_0, replay=3,
        output=str(tmp_path / "export"),
    )  # fmt: skip
    assert export.result is not None and export.result["output"] == str(tmp_path / "export")
    (measured,) = queue.listed(service, Wanted(kinds=("evaluate",)), OPERATOR)
    assert isinstance(measured.work, EvaluateSpec)
    assert (measured.work.model, measured.work.baseline, measured.work.rows) == (f"run:{trained.id}", "none", 7)
    assert measured.result is not None and measured.result["model"] is None, "an evaluation makes no model"


def test_a_finished_run_becomes_a_finished_job(service: Service, start_run: StartRun, tmp_path: Path) -> None:
    run = finished(start_run())
    assert index_folders(service) == 1
    job = only_job(service)
    assert (job.state, job.door, job.org, job.indexed) == (RunState.SUCCEEDED, "cli", "default", True)
    assert (job.name, job.folder, job.run) == ("faq", os.getcwd(), run.id)
    assert job.created_at == run.header().created_at and job.ended_at is not None
    assert (job.progress["step"], job.progress["total_steps"]) == (3, 3)
    assert job.result is not None
    assert (job.result["output"], job.result["summary"]["steps"]) == (str(tmp_path / "out"), 3)
    assert job.result["model"] is not None
    assert queue.get(service, run.id, OPERATOR, with_plan=True).plan == run.plan()
    (stored,) = queue.runs_of(service, job)
    assert (stored.id, stored.state, stored.exit, stored.step) == (run.id, RunState.SUCCEEDED, 0, 3)
    assert stored.event_offset == run.events.stat().st_size
    told = queue.events_of(service, job)
    assert [event.kind for event in told] == ["started", "step", "step", "step", "finished", "job"]
    assert [event.seq for event in told[:-1]] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("does", "state", "code"),
    [("lack data", RunState.FAILED, "data_not_found"), ("be killed", RunState.FAILED, "run_crashed")],
)
def test_a_failed_run_becomes_a_failed_job(
    service: Service, start_run: StartRun, does: str, state: RunState, code: str
) -> None:
    finished(start_run(does))
    assert index_folders(service) == 1
    job = only_job(service)
    assert job.state is state and job.error is not None
    assert job.error["code"] == code and job.error["message"] == job.reason


def test_a_living_run_becomes_a_job_that_a_supervisor_takes_up(service: Service, start_run: StartRun) -> None:
    run = start_run("wait")
    next(event for event in follow(run, poll=0.005) if isinstance(event.body, Started))
    assert index_folders(service) == 1
    job = only_job(service)
    assert (job.state, job.lease_owner, job.run) == (RunState.PREPARING, None, run.id)
    (stored,) = queue.runs_of(service, job)
    assert (stored.state, stored.event_offset, stored.ended_at) == (RunState.RUNNING, 0, None)
    assert [event.kind for event in queue.events_of(service, job)] == ["job"], "the supervisor reads the rest"
    LocalExecutor().stop(handle_of(run), force=True)  # type: ignore[arg-type]


def test_a_second_look_finds_nothing_new(service: Service, start_run: StartRun) -> None:
    finished(start_run())
    index = FolderIndex(service)
    assert (index.look(), index.look(), index_folders(service)) == (1, 0, 0)
    finished(start_run(name="other"))
    assert (index.look(), index_folders(service)) == (1, 0)


def test_what_is_no_run_of_the_command_line_is_left_alone(
    service: Service, start_run: StartRun, home: Path, tmp_path: Path
) -> None:
    attempt = Attempt(run="20260101-000000-x-12345678", job="0123456789ab", token=1, folder=tmp_path)
    finished(start_run(attempt=attempt))
    RunFolder.create(home, kind="serve", name="chat", request={})
    RunFolder.create(home, kind="convert", name="convert", request={})
    (home / "runs" / "a-folder").mkdir()
    (home / "runs" / "a-file").write_text("")
    damaged = RunFolder.create(home, kind="train", name="damaged")
    (damaged.path / "run.json").write_text("{")
    assert index_folders(service) == 0
    assert queue.listed(service, Wanted(), OPERATOR) == []


@pytest.mark.parametrize("line", ["5", "[]", '{"seq": 9}', "no JSON"])
def test_a_folder_that_makes_no_sense_keeps_nothing_from_the_others(
    service: Service, start_run: StartRun, line: str
) -> None:
    damaged, whole = finished(start_run()), finished(start_run(name="other"))
    with damaged.events.open("a") as file:
        file.write(line + "\n")
    assert index_folders(service) == 1
    assert only_job(service).run == whole.id


def test_a_run_that_is_just_being_started_is_looked_at_again(service: Service, home: Path, tmp_path: Path) -> None:
    index, plan = FolderIndex(service), sample_plan(tmp_path / "out")
    run = RunFolder.create(home, kind="train", name="faq", plan=plan, output=tmp_path / "out")
    assert index.look() == 0
    LocalExecutor(worker=WORKER).launch(run, env={})
    finished(run)
    assert index.look() == 1


def test_two_servers_at_once_make_one_job_of_each_folder(service: Service, start_run: StartRun) -> None:
    runs = [finished(start_run(name=f"out-{number}")) for number in range(6)]
    other = open_service(service.settings)
    with ThreadPoolExecutor(4) as pool:
        made = sum(pool.map(index_folders, [service, other, service, other]))
    made += index_folders(service)
    other.close()
    assert made == 6
    jobs = queue.listed(service, Wanted(), OPERATOR)
    assert sorted(job.run or "" for job in jobs) == sorted(run.id for run in runs)
    assert all(len(queue.events_of(service, job)) == 6 for job in jobs)


def test_many_folders_are_taken_a_few_at_a_time(
    service: Service, start_run: StartRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        finished(start_run(name=f"out-{number}"))
    index = FolderIndex(service)
    monkeypatch.setattr(indexing, "AT_ONCE", -1.0)
    assert index.look() == 0
    monkeypatch.setattr(indexing, "AT_ONCE", 60.0)
    assert index.look() == 3


def test_thousands_of_folders_that_did_not_change_cost_nothing(service: Service, home: Path) -> None:
    for number in range(2000):
        (home / "runs" / f"folder-{number}").mkdir(parents=True)
    os.utime(home / "runs", (0, 0))
    index = FolderIndex(service)
    index.look()
    begun = time.perf_counter()
    for _ in range(1000):
        index.look()
    assert time.perf_counter() - begun < 1.0


def test_a_run_of_another_machine_is_judged_by_its_own_words_alone(
    service: Service, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where machines share folders, that its processes are not here says nothing."""
    run = RunFolder.create(home, kind="train", name="faq", plan=sample_plan(tmp_path / "out"), output=tmp_path / "out")
    elsewhere = run.header().model_copy(
        update={"creator": run.header().creator.model_copy(update={"boot": "another", "pid": 1})}
    )
    (run.path / "run.json").write_text(elsewhere.model_dump_json())
    run.events.touch()
    assert index_folders(service) == (1 if service.database.is_sqlite else 0)
    os.utime(run.events, (0, 0))
    index_folders(service)
    assert only_job(service).state is RunState.FAILED
