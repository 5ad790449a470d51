from __future__ import annotations

import time

from tunesmith.runs.control import ask, asked
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.lease import LeaseWatch, grant
from tunesmith.spec.states import Request

HOUR = 3600.0


def test_a_run_without_a_lease_goes_on(run: RunFolder) -> None:
    watch = LeaseWatch(run)
    assert watch.until() is None and not watch.has_passed()


def test_a_lease_holds_until_its_time_and_can_be_renewed(run: RunFolder) -> None:
    watch, now = LeaseWatch(run), time.time()
    grant(run, now + HOUR)
    assert not watch.has_passed()
    grant(run, now - 1)
    assert watch.has_passed()
    grant(run, now + HOUR)
    assert not watch.has_passed() and watch.until() == now + HOUR


def test_a_lease_that_went_away_or_cannot_be_read_is_as_it_was(run: RunFolder) -> None:
    watch = LeaseWatch(run)
    grant(run, 1.0)
    assert watch.has_passed()
    (run.path / "lease.json").write_text("{")
    assert watch.has_passed()
    (run.path / "lease.json").unlink()
    assert watch.has_passed()


def test_what_is_asked_and_the_lease_do_not_overwrite_each_other(run: RunFolder) -> None:
    ask(run, Request.PAUSE)
    grant(run, 1.0)
    ask(run, Request.CANCEL)
    assert asked(run) is Request.CANCEL and LeaseWatch(run).has_passed()
