from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tunesmith.runs.liveness import Process, is_alive, process
from tunesmith.service.system.subtasks import FUNCTIONS, Subtasks
from tunesmith.spec.errors import DataNotFound, Relayed, SubtaskDied, SubtaskTooSlow

HERE = Path(__file__).parent
NAMES = ("get_ready", "echo", "pid", "folder", "loaded", "ready_since", "hang", "lack_data", "crash", "die",
         "fill_memory")  # fmt: skip
TABLE = {name: f"subtask_functions:{name}" for name in NAMES}
SOON = 60.0
"""Seconds within which any of these is done on the slowest machine."""


@pytest.fixture
def subtasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Subtasks]:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    made = Subtasks(1, TABLE)
    yield made
    made.close()


def gone(pid: int) -> None:
    """Wait until a process has ended, with all of its threads."""
    while psutil.pid_exists(pid):
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1:
            return


def test_json_goes_in_and_comes_out(subtasks: Subtasks) -> None:
    said = {"text": "größer\nals", "number": 1.5, "none": None, "list": [1, {"a": True}], "much": "x" * 3_000_000}
    assert subtasks.call("echo", timeout=SOON, **said) == said


def test_a_child_that_got_ready_does_what_comes_first(subtasks: Subtasks) -> None:
    subtasks.get_ready()
    assert subtasks.call("pid", timeout=SOON) == subtasks.call("ready_since", timeout=SOON)


def test_a_child_that_cannot_get_ready_keeps_nobody_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    made = Subtasks(1, {"get_ready": "subtask_functions:die"})
    made.get_ready()
    made.close()


def test_the_folder_that_the_server_was_started_in_may_go_away(
    subtasks: Subtasks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    start = tmp_path / "start"
    start.mkdir()
    monkeypatch.chdir(start)
    subtasks.get_ready()
    monkeypatch.undo()
    start.rmdir()
    assert subtasks.call("folder", timeout=SOON) == "/"


def test_one_child_does_many_things_one_after_another(subtasks: Subtasks) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: subtasks.call("pid", timeout=SOON), range(32)))) == 1


def test_children_work_side_by_side(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    subtasks, mark = Subtasks(2, TABLE), tmp_path / "begun"
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(subtasks.call, "hang", timeout=SOON, mark=str(mark))
        while not mark.exists() or not mark.read_text():
            pass
        assert subtasks.call("pid", timeout=SOON) != int(mark.read_text())
        os.kill(int(mark.read_text()), signal.SIGKILL)
        with pytest.raises(SubtaskDied):
            hanging.result()
    subtasks.close()


def test_an_error_comes_back_with_its_words_and_codes(subtasks: Subtasks) -> None:
    with pytest.raises(Relayed) as raised:
        subtasks.call("lack_data", timeout=SOON)
    meant = DataNotFound("nothing.jsonl")
    found = raised.value
    assert (found.message, found.code, found.exit_code, found.status) == (
        meant.message, "data_not_found", meant.exit_code, meant.status,
    )  # fmt: skip


def test_an_error_of_the_program_comes_back_too_and_the_child_goes_on(subtasks: Subtasks) -> None:
    before = subtasks.call("pid", timeout=SOON)
    with pytest.raises(Relayed, match="ZeroDivisionError: by nothing"):
        subtasks.call("crash", timeout=SOON)
    assert subtasks.call("pid", timeout=SOON) == before


def test_a_child_that_dies_is_replaced(subtasks: Subtasks) -> None:
    before = subtasks.call("pid", timeout=SOON)
    with pytest.raises(SubtaskDied, match="killed, most likely out of memory"):
        subtasks.call("die", timeout=SOON)
    assert subtasks.call("pid", timeout=SOON) != before


def test_a_child_that_died_between_two_calls_is_replaced(subtasks: Subtasks) -> None:
    before = subtasks.call("pid", timeout=SOON)
    os.kill(before, signal.SIGKILL)
    gone(before)
    assert subtasks.call("pid", timeout=SOON) != before


def test_a_child_that_takes_too_long_is_ended(subtasks: Subtasks, tmp_path: Path) -> None:
    before = subtasks.call("pid", timeout=SOON)
    with pytest.raises(SubtaskTooSlow, match="hang was not done within 0 seconds"):
        subtasks.call("hang", timeout=0.2)
    gone(before)
    assert subtasks.call("pid", timeout=SOON) != before


def test_waiting_for_a_child_is_part_of_the_time(subtasks: Subtasks, tmp_path: Path) -> None:
    mark = tmp_path / "begun"
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(subtasks.call, "hang", timeout=SOON, mark=str(mark))
        while not mark.exists() or not mark.read_text():
            pass
        with pytest.raises(SubtaskTooSlow):
            subtasks.call("pid", timeout=0.1)
        os.kill(int(mark.read_text()), signal.SIGKILL)
        with pytest.raises(SubtaskDied):
            hanging.result()


def test_memory_has_a_limit(subtasks: Subtasks) -> None:
    before = subtasks.call("pid", timeout=SOON)
    with pytest.raises(Relayed, match="more memory than it may have") as raised:
        subtasks.call("fill_memory", timeout=SOON)
    assert raised.value.code == SubtaskDied.code
    assert subtasks.call("pid", timeout=SOON) == before


def test_only_what_the_table_names_is_called(subtasks: Subtasks) -> None:
    with pytest.raises(KeyError):
        subtasks.call("os:getpid", timeout=SOON)


def test_every_function_of_the_table_is_there() -> None:
    import importlib

    for reference in FUNCTIONS.values():
        module, _, name = reference.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_children_import_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    subtasks = Subtasks(1, {**TABLE, **FUNCTIONS})
    with pytest.raises(Relayed):
        subtasks.call("plan", timeout=SOON, spec={}, home="/nowhere", folder="/", offline=True, gpus="")
    assert subtasks.call("loaded", timeout=SOON, names=["torch", "transformers", "tunesmith.planning.draft"]) == []
    subtasks.close()


def test_closing_ends_the_children(subtasks: Subtasks) -> None:
    child = subtasks.call("pid", timeout=SOON)
    subtasks.close()
    gone(child)


@pytest.mark.parametrize("working", [False, True])
def test_no_child_outlives_a_parent_that_is_killed(working: bool, tmp_path: Path) -> None:
    mark = tmp_path / "begun"
    last = f"tasks.call('hang', timeout=60, mark={str(mark)!r})" if working else "threading.Event().wait()"
    program = (
        "import threading; from tunesmith.service.system.subtasks import Subtasks; "
        f"tasks = Subtasks(1, {TABLE!r}); print(tasks.call('pid', timeout=60), flush=True); {last}"
    )
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    child: Process = process(int(parent.stdout.readline()))
    while working and not mark.exists():
        pass
    assert is_alive(child)
    parent.kill()
    parent.communicate()
    end = time.monotonic() + SOON
    while is_alive(child):
        assert time.monotonic() < end
