from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.runs import checkpoints
from tunesmith.runs.control import ask
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.lease import grant
from tunesmith.spec.errors import Cancelled, NotANumber, Paused
from tunesmith.spec.events import Acknowledged, Body, Ended, Failed, Finished, Heartbeat, Phase, Warned
from tunesmith.spec.states import Request
from tunesmith.worker import reporting
from tunesmith.worker.reporting import Reporter


@pytest.fixture
def run(home: Path) -> RunFolder:
    return RunFolder.create(home, kind="train", name="faq")


@pytest.fixture
def restored_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def said(run: RunFolder) -> list[Body]:
    return [event.body for event in read(run.events)[0]]


def test_only_the_first_rank_speaks(run: RunFolder) -> None:
    Reporter(run).say(Phase(name="reading"))
    second = Reporter(run, rank=1)
    second.say(Phase(name="reading too"))
    second.finish({}, None)
    assert said(run) == [Phase(name="reading")]


def test_beats_only_when_there_is_nothing_else_to_say(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(reporting.time, "monotonic", lambda: now)
    reporter = Reporter(run)
    for step, now in ((1, 104.0), (2, 105.0), (3, 109.0), (4, 110.0)):  # noqa: B007 -- the clock above reads it.
        reporter.beat(step)
    assert said(run) == [Heartbeat(step=2), Heartbeat(step=4)]


def test_hears_what_is_asked(run: RunFolder) -> None:
    reporter = Reporter(run)
    assert reporter.request() is Request.NONE
    ask(run, Request.PAUSE)
    assert reporter.request() is Request.PAUSE
    ask(run, Request.CANCEL)
    assert reporter.request() is Request.CANCEL


def test_a_checkpoint_is_asked_for_once(run: RunFolder) -> None:
    reporter = Reporter(run)
    for step in (1, 2):
        ask(run, Request.CHECKPOINT)
        assert reporter.request() is Request.CHECKPOINT
        reporter.acknowledge(Request.CHECKPOINT, step)
        assert reporter.request() is Request.NONE
    assert said(run) == [Acknowledged(request=Request.CHECKPOINT, step=step) for step in (1, 2)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("restored_signals")
def test_a_signal_without_an_intent_asks_to_save_and_stop(run: RunFolder, number: signal.Signals) -> None:
    reporter = Reporter(run)
    reporter.listen()
    os.kill(os.getpid(), number)
    os.kill(os.getpid(), number)
    assert reporter.request() is Request.PAUSE
    ask(run, Request.CANCEL)
    assert reporter.request() is Request.CANCEL


def test_the_last_word_names_the_last_checkpoint(run: RunFolder) -> None:
    with checkpoints.stage(run, 7) as staging:
        staging.commit()
    reporter = Reporter(run)
    reporter.beat(8)
    reporter.stop(Paused(run.id, 8))
    assert said(run) == [Ended(request=Request.PAUSE, step=8, checkpoint="checkpoint-7")]
    assert reporter.has_ended


def test_each_end_has_its_word(home: Path) -> None:
    def last_of(end: str) -> Body:
        run = RunFolder.create(home, kind="train", name="faq")
        reporter = Reporter(run)
        match end:
            case "cancelled":
                reporter.stop(Cancelled(run.id))
            case "failed":
                reporter.fail(NotANumber(3, "the gradient of 'q_proj'"))
            case "finished":
                reporter.finish({"steps": 3}, run.artifacts_dir)
        return said(run)[-1]

    assert last_of("cancelled") == Ended(request=Request.CANCEL, step=0, checkpoint=None)
    failed = last_of("failed")
    assert isinstance(failed, Failed)
    assert (failed.code, failed.exit_code) == ("not_a_number", 70)
    assert isinstance(last_of("finished"), Finished)


def test_a_run_past_its_lease_says_so_once_and_is_to_save_and_stop(run: RunFolder) -> None:
    reporter = Reporter(run)
    grant(run, time.time() + 3600)
    assert reporter.request() is Request.NONE and not reporter.is_overtaken
    grant(run, time.time() - 1)
    assert reporter.request() is Request.PAUSE
    grant(run, time.time() + 3600)
    assert reporter.request() is Request.PAUSE, "what was said stays so"
    warned = [body for body in said(run) if isinstance(body, Warned)]
    assert len(warned) == 1 and "saves its state and stops" in warned[0].message


def test_a_cancelled_run_past_its_lease_is_cancelled(run: RunFolder) -> None:
    grant(run, time.time() - 1)
    ask(run, Request.CANCEL)
    assert Reporter(run).request() is Request.CANCEL
