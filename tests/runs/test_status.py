from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripted_worker import started, taken
from tunesmith.runs.control import ask
from tunesmith.runs.event_log import EventWriter
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.liveness import Process, this_process
from tunesmith.runs.rank_faults import note_fault
from tunesmith.runs.status import status
from tunesmith.spec.errors import Relayed
from tunesmith.spec.events import Body, Ended, Evaluated, Failed, Finished, Phase
from tunesmith.spec.states import Request, RunState

GONE = Process(pid=2**22 - 1, started="1", boot="an earlier one")


def tell(run: RunFolder, *bodies: Body) -> None:
    with EventWriter(run.events) as log:
        for body in bodies:
            log.append(body)


def launched(run: RunFolder, process: Process) -> None:
    content = {"folder": str(run.path), "parent": process.model_dump(), "worker": process.model_dump()}
    (run.path / "handle.json").write_text(json.dumps(content))


def ended(run: RunFolder, *, code: int | None = None, signal: int | None = None) -> None:
    content = {"code": code, "signal": signal, "peak_memory_bytes": 1000, "ended_at": 5.0}
    (run.path / "exit.json").write_text(json.dumps(content))


def test_a_fresh_run_is_queued(run: RunFolder) -> None:
    now = status(run)
    assert (now.state, now.reason, now.exit, now.step) == (RunState.QUEUED, None, None, None)


def test_goes_from_preparing_to_running(run: RunFolder) -> None:
    launched(run, this_process())
    assert status(run).state is RunState.PREPARING
    tell(run, Phase(name="reading"))
    assert status(run).state is RunState.PREPARING
    tell(run, started(0, 30), *(taken(step) for step in range(1, 21)))
    now = status(run)
    assert (now.state, now.step, now.total_steps, now.epoch) == (RunState.RUNNING, 20, 30, 2.0)
    assert now.train_loss == pytest.approx(sum(1 / step for step in range(11, 21)) / 10)


def test_knows_the_newest_evaluation(run: RunFolder) -> None:
    facts = {"step": 1, "epoch": 0.1, "seconds": 1.0, "train_loss": 1.0, "patience": 0}
    tell(
        run,
        Evaluated(number=1, validation_loss=1.0, best_validation_loss=1.0, **facts),
        Evaluated(number=2, validation_loss=1.5, best_validation_loss=1.0, **facts),
    )
    now = status(run)
    assert (now.validation_loss, now.best_validation_loss) == (1.5, 1.0)


@pytest.mark.parametrize(
    ("last", "state", "exit"),
    [
        (Finished(summary={}, artifacts=None), RunState.SUCCEEDED, 0),
        (Failed(code="data", message="No rows.", exit_code=65), RunState.FAILED, 65),
        (Ended(request=Request.PAUSE, step=3, checkpoint=None), RunState.PAUSED, 75),
        (Ended(request=Request.CANCEL, step=3, checkpoint=None), RunState.CANCELLED, 76),
    ],
)
def test_the_last_word_decides(run: RunFolder, last: Body, state: RunState, exit: int) -> None:
    launched(run, this_process())
    tell(run, started(0, 3), last)
    assert (status(run).state, status(run).exit) == (state, exit)


@pytest.mark.parametrize(
    ("code", "signal", "state", "reason", "exit"),
    [
        (None, 9, RunState.FAILED, "killed, most likely out of memory", 70),
        (78, None, RunState.FAILED, "configuration", 78),
        (75, None, RunState.PAUSED, "paused", 75),
        (76, None, RunState.CANCELLED, "cancelled", 76),
    ],
)
def test_without_a_last_word_the_exit_decides(
    run: RunFolder, code: int | None, signal: int | None, state: RunState, reason: str, exit: int
) -> None:
    launched(run, GONE)
    ended(run, code=code, signal=signal)
    now = status(run)
    assert (now.state, now.reason, now.exit, now.ended_at) == (state, reason, exit, 5.0)
    assert now.todo


def test_a_killed_run_that_was_cancelled_reads_cancelled(run: RunFolder) -> None:
    launched(run, GONE)
    ask(run, Request.CANCEL)
    ended(run, signal=9)
    assert status(run).state is RunState.CANCELLED


def test_a_run_whose_processes_vanished_died_without_a_trace(run: RunFolder) -> None:
    launched(run, GONE)
    tell(run, started(0, 3))
    assert (status(run).state, status(run).reason) == (RunState.FAILED, "died without a trace")


def test_a_run_whose_maker_died_before_the_launch_never_started(home: Path, run: RunFolder) -> None:
    header = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**header, "creator": GONE.model_dump()}))
    assert (status(run).state, status(run).reason) == (RunState.FAILED, "never started")


@pytest.mark.parametrize(("code", "reason"), [("out_of_memory", "One row does not fit."), ("crash", None)])
def test_a_run_without_a_last_word_is_explained_by_another_process(
    run: RunFolder, code: str, reason: str | None
) -> None:
    launched(run, GONE)
    ended(run, code=1)
    without = status(run).reason
    note_fault(run, 1, Relayed("One row does not fit.", code, 70), code)
    now = status(run)
    assert (now.state, now.exit) == (RunState.FAILED, 70 if reason else 1)
    assert now.reason == (reason or without)
