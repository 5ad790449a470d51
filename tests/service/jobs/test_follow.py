from __future__ import annotations

import os
import signal

from service.jobs.conftest import Begin
from tunesmith.runs.handle import handle_of
from tunesmith.service.jobs.follow import follow
from tunesmith.spec.events import Finished, Started


def test_gives_every_event_once_and_ends_with_the_run(begin: Begin) -> None:
    events = list(follow(begin(), poll=0.005))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert isinstance(events[-1].body, Finished)


def test_gives_the_same_again(begin: Begin) -> None:
    run = begin()
    assert list(follow(run, poll=0.005)) == list(follow(run))


def test_ends_when_the_worker_dies_without_a_word(begin: Begin) -> None:
    run = begin("hang")
    seen = []
    for event in follow(run, poll=0.005):
        seen.append(event.body)
        if isinstance(event.body, Started):
            handle = handle_of(run)
            assert handle is not None
            os.kill(handle.worker.pid, signal.SIGKILL)
    assert isinstance(seen[-1], Started)
