from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripted_worker import WORKER
from tunesmith.runs.control import ask
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.publish import claim
from tunesmith.runs.rank_faults import note_fault, noted_fault
from tunesmith.runs.status import status
from tunesmith.spec.errors import Cancelled, OutOfMemory
from tunesmith.spec.events import Body, Ended, Failed, Finished
from tunesmith.spec.states import Request, RunState

MAKE = """
import sys
from pathlib import Path
from tunesmith.runs.folder import RunFolder
request = {"does": "write-without-hearing"}
print(RunFolder.create(Path(sys.argv[1]), kind=sys.argv[2], name="scripted", request=request).path)
"""
"""A process that makes a run and is gone."""


def work(home: Path, does: str, *, asked: Request = Request.NONE) -> tuple[RunFolder, int, Body]:
    """Let a real worker process do a run; return its exit status and last event."""
    run = RunFolder.create(home, kind="convert", name="scripted", request={"does": does})
    ask(run, asked)
    with run.log.open("wb") as log:
        done = subprocess.run([sys.executable, *WORKER, str(run.path)], stdout=log, stderr=log, check=False)
    return run, done.returncode, read(run.events)[0][-1].body


@pytest.mark.parametrize(
    ("does", "code", "exit", "message"),
    [
        ("lack data", "data_not_found", 65, "nothing.jsonl: no such data. "),
        ("use up memory", "memory_used_up", 70, "ran out of memory"),
        ("fill disk", "disk_full", 78, "the disk is full"),
        ("lack torch", "package_missing", 78, "pip install 'tunesmith[train]'"),
        ("crash", "crash", 70, "ValueError: the shapes do not agree."),
    ],
)
def test_every_fault_has_a_last_word_and_its_code(home: Path, does: str, code: str, exit: int, message: str) -> None:
    _, status, last = work(home, does)
    assert isinstance(last, Failed)
    assert (last.code, last.exit_code, status) == (code, exit, exit)
    assert message in last.message
    assert "\n" not in last.message


def test_a_traceback_stands_in_the_log_and_nowhere_else(home: Path) -> None:
    run, _, last = work(home, "crash")
    assert isinstance(last, Failed)
    assert "Traceback" not in last.message
    assert "Traceback" in run.log.read_text()
    assert "second line" in run.log.read_text()


def test_the_first_process_tells_the_fault_that_broke_its_step_off(home: Path) -> None:
    fault = OutOfMemory(7, 4096)
    run = RunFolder.create(home, kind="convert", name="scripted", request={"does": "crash"})
    note_fault(run, 1, fault, fault.code)
    done = subprocess.run([sys.executable, *WORKER, str(run.path)], capture_output=True, check=False)
    last = read(run.events)[0][-1].body
    assert isinstance(last, Failed)
    assert (last.code, last.message, done.returncode) == ("out_of_memory", fault.message, 70)


def test_another_process_leaves_its_fault_for_the_first_to_tell(home: Path) -> None:
    run = RunFolder.create(home, kind="convert", name="scripted", request={"does": "lack data"})
    environment = {**os.environ, "RANK": "1"}
    subprocess.run([sys.executable, *WORKER, str(run.path)], capture_output=True, check=False, env=environment)
    told = noted_fault(run)
    assert told is not None
    assert (told.code, told.exit_code) == ("data_not_found", 65)


def test_a_users_mistake_leaves_no_traceback_at_all(home: Path) -> None:
    run, _, _ = work(home, "lack data")
    assert "Traceback" not in run.log.read_text()


@pytest.mark.parametrize(("asked", "exit"), [(Request.PAUSE, 75), (Request.CANCEL, 76)])
def test_a_run_that_was_asked_to_end_says_so(home: Path, asked: Request, exit: int) -> None:
    _, status, last = work(home, "wait", asked=asked)
    assert last == Ended(request=asked, step=0, checkpoint=None)
    assert status == exit


@pytest.mark.parametrize("kind", ["export", "evaluate"])
def test_what_nobody_would_follow_up_ends_with_its_creator(home: Path, kind: str) -> None:
    made = subprocess.run([sys.executable, "-c", MAKE, str(home), kind], capture_output=True, text=True, check=True)
    run = RunFolder(Path(made.stdout.strip()))
    done = subprocess.run([sys.executable, *WORKER, str(run.path)], capture_output=True, check=False)
    assert done.returncode == Cancelled.exit_code
    assert read(run.events)[0][-1].body == Ended(request=Request.CANCEL, step=0, checkpoint=None)
    assert status(run).state is RunState.CANCELLED


def test_a_run_that_only_returns_has_succeeded(home: Path) -> None:
    _, code, last = work(home, "say nothing")
    assert (code, last) == (0, Finished(summary={}, artifacts=None))


def test_a_kind_of_run_needs_only_its_own_modules(home: Path) -> None:
    script = "import sys, tunesmith.worker.__main__; print({'torch', 'numpy'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_the_output_is_free_again_whatever_the_end(home: Path, tmp_path: Path) -> None:
    output = tmp_path / "lora"
    run = RunFolder.create(home, kind="train", name="x", output=output, request={"does": "crash"})
    claim(output, run)
    subprocess.run([sys.executable, *WORKER, str(run.path)], capture_output=True, check=False)
    assert status(run).state is RunState.FAILED
    assert list(output.iterdir()) == []


def test_without_a_run_folder_it_says_one_sentence(tmp_path: Path) -> None:
    for arguments, exit in ([], 2), ([str(tmp_path / "gone")], 78):
        done = subprocess.run([sys.executable, "-m", "tunesmith.worker", *arguments], capture_output=True, check=False)
        assert done.returncode == exit
        assert b"Traceback" not in done.stderr
        assert done.stderr
