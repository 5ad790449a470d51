"""What is asked of a run while it trains: the right exit status, and a checkpoint where it is to go on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.conftest import Here
from integration.jobs import begin, steps_of, tiny_job
from tunesmith.runs import checkpoints
from tunesmith.runs.control import ask
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.publish import published_run
from tunesmith.runs.status import status
from tunesmith.service.jobs.follow import follow
from tunesmith.settings import Settings
from tunesmith.spec.events import Body
from tunesmith.spec.states import Request, RunState
from tunesmith.worker.keeping import Keeper
from tunesmith.worker.reporting import Reporter

AT = 5
"""The step after which it happens; no checkpoint is due there."""

Train = Callable[[Callable[[RunFolder], None]], RunFolder]


@pytest.fixture
def train(
    here: Here,
    settings: Settings,
    tiny_model: Path,
    chat_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Train:
    """Train, and do something in the middle."""

    def train(happens: Callable[[RunFolder], None]) -> RunFolder:
        say = Keeper.say

        def say_and_do(keeper: Keeper, body: Body) -> None:
            say(keeper, body)
            if body.kind == "step" and body.step == AT:
                happens(keeper._run)

        monkeypatch.setattr(Keeper, "say", say_and_do)
        return begin(tiny_job(tiny_model, chat_data, tmp_path / "lora", max_steps=8), settings)

    return train


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_stops(train: Train, here: Here, number: signal.Signals) -> None:
    run = train(lambda _: os.kill(os.getpid(), number))
    newest = checkpoints.newest_verified(run)
    assert (here.code, status(run).state) == (75, RunState.PAUSED)
    assert newest is not None and newest.step == AT == steps_of(run)[-1].step


def test_a_cancelled_run_ends_without_a_result(train: Train, here: Here, tmp_path: Path) -> None:
    run = train(lambda run: ask(run, Request.CANCEL))
    assert (here.code, status(run).state, status(run).step) == (76, RunState.CANCELLED, AT)
    assert published_run(tmp_path / "lora") is None
    assert checkpoints.listed(run)[-1].step < AT


def test_a_run_that_still_reads_its_data_is_cancelled_too(
    here: Here,
    settings: Settings,
    tiny_model: Path,
    chat_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    say = Reporter.say

    def say_and_cancel(reporter: Reporter, body: Body) -> None:
        say(reporter, body)
        if body.kind == "phase":
            ask(reporter._run, Request.CANCEL)

    monkeypatch.setattr(Reporter, "say", say_and_cancel)
    run = begin(tiny_job(tiny_model, chat_data, tmp_path / "lora", max_steps=8), settings)
    assert (here.code, status(run).state) == (76, RunState.CANCELLED)
    assert "prepared" not in [event.body.kind for event in follow(run)]


def test_a_checkpoint_that_is_asked_for_is_saved_once_and_training_goes_on(train: Train, here: Here) -> None:
    run = train(lambda run: ask(run, Request.CHECKPOINT))
    saved = [event.body for event in follow(run) if event.body.kind == "checkpoint_saved"]
    assert here.code == 0
    assert [(one.step, one.name) for one in saved if one.reason == "asked for"] == [(AT, f"checkpoint-{AT}")]
