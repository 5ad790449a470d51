from __future__ import annotations

import pytest

from service.jobs.conftest import Begin, until_over, until_step
from tunesmith.runs import checkpoints
from tunesmith.runs.handle import is_running
from tunesmith.runs.status import status
from tunesmith.service.jobs.control import cancel, pause, stop_now
from tunesmith.spec.errors import WrongRunState
from tunesmith.spec.states import RunState


def test_a_paused_run_saves_and_stops(begin: Begin) -> None:
    run = until_step(begin("train and wait"), 2)
    pause(run)
    now = status(until_over(run))
    assert (now.state, now.step, now.exit) == (RunState.PAUSED, 2, 75)
    assert checkpoints.newest_verified(run) is not None


def test_a_cancelled_run_ends(begin: Begin) -> None:
    run = until_step(begin("train and wait"), 2)
    cancel(run)
    assert (status(until_over(run)).state, status(run).exit) == (RunState.CANCELLED, 76)


def test_a_run_that_hears_nothing_is_stopped_and_reads_cancelled(begin: Begin) -> None:
    run = begin("hang")
    pause(run)
    stop_now(run)
    assert not is_running(run)
    assert (status(run).state, status(run).exit) == (RunState.CANCELLED, 76)
    stop_now(run)


def test_nothing_can_be_asked_of_a_run_that_is_over(begin: Begin) -> None:
    run = until_over(begin())
    for ask in (pause, cancel):
        with pytest.raises(WrongRunState, match="succeeded"):
            ask(run)
    stop_now(run)
    assert status(run).state is RunState.SUCCEEDED
