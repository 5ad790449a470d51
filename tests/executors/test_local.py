from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripted_worker import WORKER
from tunesmith.executors.base import Executor
from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.control import ask
from tunesmith.runs.event_log import read
from tunesmith.runs.exits import Exit
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import Handle, handle_of
from tunesmith.runs.liveness import is_alive, process
from tunesmith.runs.status import status
from tunesmith.service.jobs.follow import follow
from tunesmith.spec.events import Finished, Phase, Progress, Started
from tunesmith.spec.states import Request, RunState

MakeRun = Callable[[str], RunFolder]


@pytest.fixture
def executor() -> Executor:
    return LocalExecutor(worker=WORKER)


@pytest.fixture
def make_run(home: Path) -> MakeRun:
    return lambda does: RunFolder.create(home, kind="convert", name="scripted", request={"does": does})


def until(run: RunFolder, kind: type) -> None:
    """Wait for an event of this kind."""
    next(event for event in follow(run, poll=0.005) if isinstance(event.body, kind))


def end_of(run: RunFolder, executor: Executor, handle: Handle) -> Exit:
    """Wait until both processes are gone."""
    for _ in follow(run, poll=0.005):
        pass
    while (end := executor.poll(handle)) is None:
        pass
    return end


def test_writes_down_how_the_worker_ended(executor: Executor, make_run: MakeRun) -> None:
    run = make_run("say nothing")
    end = end_of(run, executor, executor.launch(run, env={}))
    assert (end.code, end.signal) == (0, None)
    assert end.peak_memory_bytes > 1_000_000
    assert not list(run.path.glob(".*"))


def test_gives_the_worker_its_environment_its_log_and_its_folder(
    executor: Executor, make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = make_run("tell environment")
    handle = executor.launch(run, env={"OMP_NUM_THREADS": "3"})
    end_of(run, executor, handle)
    said = read(run.events)[0][-1].body
    assert isinstance(said, Finished)
    facts = said.summary
    assert facts["folder"] == str(tmp_path)
    assert facts["OMP_NUM_THREADS"] == "3"
    assert (facts["OMP_WAIT_POLICY"], facts["HF_HUB_OFFLINE"], facts["PYTHONUNBUFFERED"]) == ("PASSIVE", "1", "1")
    assert sorted(run.log.read_text().splitlines()) == ["said on stderr", "said on stdout"]
    assert facts["pid"] == facts["group"] == handle.worker.pid
    assert facts["session"] == handle.parent.pid != os.getsid(0)


def test_a_module_in_the_working_folder_is_not_taken_for_another(
    executor: Executor, make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    monkeypatch.chdir(tmp_path)
    run = make_run("say nothing")
    assert end_of(run, executor, executor.launch(run, env={})).code == 0


def test_a_kill_of_the_worker_alone_is_written_down(executor: Executor, make_run: MakeRun) -> None:
    run = make_run("hang")
    handle = executor.launch(run, env={})
    until(run, Started)
    os.kill(handle.worker.pid, signal.SIGKILL)
    end = end_of(run, executor, handle)
    assert (end.code, end.signal) == (None, signal.SIGKILL)
    assert status(run).reason == "killed, most likely out of memory"


def test_stopping_by_force_ends_the_worker_with_all_that_it_started(executor: Executor, make_run: MakeRun) -> None:
    run = make_run("leave a child")
    handle = executor.launch(run, env={})
    body = next(event.body for event in follow(run, poll=0.005) if isinstance(event.body, Progress))
    child = process(int(body.message))
    assert is_alive(child)
    executor.stop(handle, force=True)
    assert not handle.is_alive
    assert not is_alive(child)
    assert executor.poll(handle) is not None


def test_stopping_by_force_works_without_the_parent(executor: Executor, make_run: MakeRun) -> None:
    run = make_run("leave a child")
    handle = executor.launch(run, env={})
    body = next(event.body for event in follow(run, poll=0.005) if isinstance(event.body, Progress))
    child = process(int(body.message))
    os.kill(handle.parent.pid, signal.SIGKILL)
    while is_alive(handle.parent):
        pass
    assert handle.is_alive
    executor.stop(handle, force=True)
    end = executor.poll(handle)
    assert end is not None
    assert (end.code, end.signal) == (None, None)
    assert not is_alive(child)
    assert status(run).reason == "died without a trace"


def test_a_polite_stop_is_a_request_to_save_and_stop(executor: Executor, make_run: MakeRun) -> None:
    run = make_run("wait")
    handle = executor.launch(run, env={})
    until(run, Started)
    executor.stop(handle, force=False)
    executor.stop(handle, force=False)
    assert end_of(run, executor, handle).code == 75
    assert status(run).state is RunState.PAUSED


def test_a_polite_stop_of_a_cancelled_run_cancels(executor: Executor, make_run: MakeRun) -> None:
    run = make_run("wait")
    handle = executor.launch(run, env={})
    until(run, Started)
    ask(run, Request.CANCEL)
    executor.stop(handle, force=False)
    assert end_of(run, executor, handle).code == 76
    assert status(run).state is RunState.CANCELLED


LAUNCH = """
import sys
from pathlib import Path
from scripted_worker import WORKER
from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.folder import RunFolder

LocalExecutor(worker=WORKER).launch(RunFolder(Path(sys.argv[1])), env={})
print("launched", flush=True)
input()
"""


def test_a_run_outlives_its_launcher_and_a_closed_terminal(executor: Executor, make_run: MakeRun) -> None:
    run = make_run("wait")
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(run.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert launcher.stdout is not None
    assert launcher.stdout.readline() == b"launched\n"
    os.killpg(launcher.pid, signal.SIGHUP)
    launcher.wait()
    handle = handle_of(run)
    assert handle is not None
    os.kill(handle.parent.pid, signal.SIGHUP)
    until(run, Started)
    assert executor.poll(handle) is None
    os.kill(handle.parent.pid, signal.SIGTERM)
    assert end_of(run, executor, handle).code == 75
    launcher.communicate()


def test_several_processes_share_a_run(executor: Executor, make_run: MakeRun) -> None:
    run = make_run("tell rank")
    end_of(run, executor, executor.launch(run, env={"OMP_NUM_THREADS": "1"}, processes=2))
    bodies = [event.body for event in read(run.events)[0]]
    assert bodies == [Phase(name="rank 0 of 2"), Finished(summary={}, artifacts=None)]
    assert status(run).state is RunState.SUCCEEDED


def test_the_parent_knows_nothing_of_the_project() -> None:
    parent = Path(__file__).parents[2] / "src/tunesmith/executors/parent.py"
    script = f"import runpy, sys, json; runpy.run_path({str(parent)!r}); print(json.dumps(sorted(sys.modules)))"
    said = subprocess.run([sys.executable, "-S", "-E", "-c", script], capture_output=True, text=True, check=True)
    loaded = json.loads(said.stdout)
    assert "tunesmith" not in loaded
    assert len(loaded) < 80
