"""``tunesmith train`` on a real terminal: Ctrl-C once, Ctrl-C twice, and the terminal closed."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.conftest import write_chat
from integration.jobs import until_over, until_step
from tunesmith.runs import checkpoints
from tunesmith.runs.folder import RunFolder, run_folders
from tunesmith.runs.handle import handle_of
from tunesmith.runs.publish import published_run
from tunesmith.runs.status import status
from tunesmith.spec.states import RunState

CTRL_C = b"\x03"
PATIENCE = 120.0
"""Seconds after which a terminal that shows nothing new is a failure."""


class Terminal:
    """A command on a terminal of its own, which is its controlling terminal."""

    def __init__(self, arguments: list[str], home: Path) -> None:
        self.shown = ""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.environ["TUNESMITH_HOME"] = str(home)
            os.execv(sys.executable, [sys.executable, "-m", "tunesmith.cli.main", *arguments])

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def read_until(self, text: str | None) -> None:
        """Read until a text is shown, or to the end."""
        until = time.monotonic() + PATIENCE
        while text is None or text not in self.shown:
            ready, _, _ = select.select([self.master], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"still no {text!r}: {self.shown[-2000:]}"
            try:
                self.shown += os.read(self.master, 65536).decode(errors="replace")
            except OSError:  # The other side is closed.
                assert text is None, f"ended without {text!r}: {self.shown[-2000:]}"
                return

    def exit_code(self) -> int:
        self.read_until(None)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminal(home: Path, tiny_model: Path, tmp_path: Path) -> Iterator[Terminal]:
    data = write_chat(tmp_path / "chat.jsonl")
    job = {
        "model": tiny_model, "data": data, "output": tmp_path / "lora", "epochs": 10, "batch-size": 4, "threads": 1,
        "gradient-accumulation-steps": 1, "save-steps": 50, "eval-steps": 50, "patience": 1000, "test-prompts": 0,
        "device": "cpu", "dtype": "fp32",
    }  # fmt: skip
    terminal = Terminal(["train", *(f"--{name}={value}" for name, value in job.items())], home)
    yield terminal
    if terminal.master >= 0:
        os.close(terminal.master)


def the_run(terminal: Terminal, home: Path) -> RunFolder:
    """The run that the command started, under way."""
    while not (runs := run_folders(home / "runs")):
        assert os.waitpid(terminal.pid, os.WNOHANG)[0] == 0
        os.sched_yield()
    while handle_of(runs[0]) is None:
        os.sched_yield()
    assert until_step(runs[0], 3)
    return runs[0]


@pytest.mark.chaos
def test_ctrl_c_saves_and_stops(terminal: Terminal, home: Path) -> None:
    run = the_run(terminal, home)
    terminal.type(CTRL_C)
    assert terminal.exit_code() == 75, terminal.shown
    assert status(run).state is RunState.PAUSED
    newest = checkpoints.newest_verified(run)
    assert newest is not None and newest.step == status(run).step


@pytest.mark.chaos
def test_a_second_ctrl_c_stops_at_once(terminal: Terminal, home: Path) -> None:
    run = the_run(terminal, home)
    handle = handle_of(run)
    assert handle is not None
    os.kill(handle.worker.pid, signal.SIGSTOP)  # So that it cannot heed the first one.
    terminal.type(CTRL_C)
    terminal.read_until("Ctrl-C again")
    terminal.type(CTRL_C)
    assert terminal.exit_code() == 76, terminal.shown
    assert status(run).state is RunState.CANCELLED


@pytest.mark.chaos
def test_a_closed_terminal_does_not_lose_the_run(terminal: Terminal, home: Path, tmp_path: Path) -> None:
    run = the_run(terminal, home)
    os.close(terminal.master)
    terminal.master = -1
    assert os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1]) != 0
    assert status(run).state is RunState.RUNNING
    assert status(until_over(run)).state is RunState.SUCCEEDED
    assert published_run(tmp_path / "lora") == run.id
