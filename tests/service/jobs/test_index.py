from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs.index import find, runs
from tunesmith.settings import Settings
from tunesmith.spec.errors import RunAmbiguous, RunNotFound


def test_there_are_no_runs_at_first(settings: Settings) -> None:
    assert runs(settings) == []


def test_lists_the_newest_first(settings: Settings, home: Path) -> None:
    made = [RunFolder.create(home, kind="train", name=name) for name in ("a", "b", "c")]
    assert [run.id for run in runs(settings)] == [run.id for run in made[::-1]]


def test_finds_a_run_by_id_beginning_or_name(settings: Settings, home: Path) -> None:
    faq = RunFolder.create(home, kind="train", name="my-faq")
    RunFolder.create(home, kind="train", name="other")
    assert find(settings, faq.id) == find(settings, faq.id[:-2]) == find(settings, "my-faq") == faq


def test_a_beginning_that_fits_several_is_refused(settings: Settings, home: Path) -> None:
    for _ in range(5):
        RunFolder.create(home, kind="train", name="faq")
    for name in ("2", "faq"):
        with pytest.raises(RunAmbiguous, match=r"and 2 more\. Give more"):
            find(settings, name)


def test_says_what_there_is_instead(settings: Settings, home: Path) -> None:
    run = RunFolder.create(home, kind="train", name="faq")
    with pytest.raises(RunNotFound, match=f"Did you mean '{run.id}'"):
        find(settings, run.id[:-1] + "x")
    with pytest.raises(RunNotFound):
        find(settings, "")
