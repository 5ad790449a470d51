from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from scripted_worker import WORKER
from tunesmith.executors import local
from tunesmith.executors.local import LocalExecutor
from tunesmith.runs.folder import RunFolder, new_run_id
from tunesmith.runs.handle import Handle, handle_of, is_running
from tunesmith.runs.launch import abandon, launch_of
from tunesmith.runs.status import status
from tunesmith.spec.errors import RunAbandoned, RunCrashed
from tunesmith.spec.states import RunState

MakeRun = Callable[[], RunFolder]
BROKEN = Path(__file__).with_name("broken_parent.py")


@pytest.fixture
def make_run(home: Path) -> MakeRun:
    return lambda: RunFolder.create(home, kind="convert", name="scripted", request={"does": "hang"})


def workers_of(run: RunFolder) -> list[psutil.Process]:
    """Every process whose command line names the run."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if process.pid != os.getpid() and str(run.path) in (process.info["cmdline"] or ()):
            found.append(process)
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(10**9):
        if condition():
            return


def test_a_run_that_was_given_up_is_never_launched(make_run: MakeRun) -> None:
    run = make_run()
    assert abandon(run) and abandon(run)
    with pytest.raises(RunAbandoned, match="given up before it was launched"):
        LocalExecutor(worker=WORKER).launch(run, env={})
    assert handle_of(run) is None and not workers_of(run)
    assert not is_running(run) and status(run).state is RunState.FAILED


def test_a_run_that_was_launched_cannot_be_given_up(make_run: MakeRun) -> None:
    run, executor = make_run(), LocalExecutor(worker=WORKER)
    handle = executor.launch(run, env={})
    assert not abandon(run)
    executor.stop(handle, force=True)
    assert not abandon(run)


def test_a_folder_that_is_given_up_before_it_is_made_is_never_made(home: Path) -> None:
    id = new_run_id("later", 0.0)
    assert abandon(RunFolder(home / "runs" / id))
    with pytest.raises(RunAbandoned):
        RunFolder.create(home, kind="convert", name="later", request={}, id=id)
    assert [entry.name for entry in (home / "runs").iterdir()] == [id]


def test_of_many_launches_one_starts_a_worker(make_run: MakeRun) -> None:
    run, executor = make_run(), LocalExecutor(worker=WORKER)

    def launch(_: int) -> Handle | None:
        try:
            return executor.launch(run, env={})
        except RunCrashed:
            return None

    with ThreadPoolExecutor(8) as pool:
        handles = {handle.worker.pid for handle in pool.map(launch, range(8)) if handle}
    assert len(handles) == 1
    executor.stop(handle_of(run), force=True)  # type: ignore[arg-type]


def test_giving_up_and_launching_at_once_agree_on_who_was_first(make_run: MakeRun) -> None:
    executor = LocalExecutor(worker=WORKER)

    def launch(run: RunFolder) -> Handle | None:
        try:
            return executor.launch(run, env={})
        except RunAbandoned:
            return None

    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            run = make_run()
            launching, giving_up = pool.submit(launch, run), pool.submit(abandon, run)
            handle = launching.result()
            assert (handle is None) is giving_up.result()
            if handle is not None:
                executor.stop(handle, force=True)


@pytest.mark.parametrize(
    ("file", "moment", "given_up"),
    [("launched.json", "before", True), ("launched.json", "after", True), ("handle.json", "before", True),
     ("handle.json", "after", False)],
)  # fmt: skip
def test_a_parent_that_is_killed_while_it_launches_leaves_no_worker(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, file: str, moment: str, given_up: bool
) -> None:
    monkeypatch.setattr(local, "PARENT", BROKEN)
    monkeypatch.setenv("BREAK_AT", file)
    monkeypatch.setenv("BREAK", moment)
    run = make_run()
    if given_up:
        with pytest.raises(RunCrashed):
            LocalExecutor(worker=WORKER).launch(run, env={})
    else:
        LocalExecutor(worker=WORKER).launch(run, env={})
    wait_until(lambda: not workers_of(run))
    handle, launch = handle_of(run), launch_of(run)
    assert (launch is None) is ((file, moment) == ("launched.json", "before"))
    assert (handle is None) is given_up
    wait_until(lambda: handle is None or not handle.is_alive)
    assert not run.events.exists()
    assert abandon(run) is given_up
    assert not is_running(run)
