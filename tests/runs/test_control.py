from __future__ import annotations

import pytest

from tunesmith.runs.control import ControlWatch, ask, asked
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.states import Request


def test_nothing_is_asked_of_a_fresh_run(run: RunFolder) -> None:
    assert asked(run) is Request.NONE
    assert ControlWatch(run).look().request is Request.NONE


@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [
        (Request.CHECKPOINT, Request.PAUSE, Request.PAUSE),
        (Request.PAUSE, Request.CANCEL, Request.CANCEL),
        (Request.CANCEL, Request.PAUSE, Request.CANCEL),
        (Request.PAUSE, Request.CHECKPOINT, Request.PAUSE),
    ],
)
def test_what_goes_further_stands(run: RunFolder, first: Request, second: Request, stands: Request) -> None:
    ask(run, first)
    ask(run, second)
    assert asked(run) is stands


def test_the_watch_sees_each_request(run: RunFolder) -> None:
    watch = ControlWatch(run)
    ask(run, Request.CHECKPOINT)
    first = watch.look()
    ask(run, Request.CHECKPOINT)
    second = watch.look()
    assert first.request is second.request is Request.CHECKPOINT
    assert first.id != second.id
    ask(run, Request.PAUSE)
    assert watch.look().request is Request.PAUSE


def test_a_file_that_is_no_request_asks_for_nothing(run: RunFolder) -> None:
    (run.path / "control.json").write_text('{"request": "dance"}')
    assert asked(run) is Request.NONE
