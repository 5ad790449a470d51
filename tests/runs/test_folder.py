from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from sample_plan import sample_plan
from tunesmith.runs.folder import RunFolder, run_folders
from tunesmith.spec.errors import RunNotFound, UnreadableFile


def test_its_id_sorts_by_time_and_says_what_it_is(home: Path) -> None:
    run = RunFolder.create(home, kind="serve", name="my model/v2", request={})
    assert re.fullmatch(r"\d{8}-\d{6}-my-model-v2-[0-9a-f]{4}", run.id)
    assert run.path == home / "runs" / run.id


def test_reads_what_was_written(run: RunFolder, output: Path) -> None:
    plan = sample_plan(output)
    assert run.plan() == plan
    assert run.spec() == plan.spec
    header = run.header()
    assert (header.id, header.kind, header.output, header.folder) == (run.id, "train", str(output), os.getcwd())


def test_a_resumed_run_knows_its_parent(home: Path, run: RunFolder) -> None:
    child = RunFolder.create(home, kind="train", name="faq", parent=run)
    assert child.parent() == run
    assert run.parent() is None


def test_a_half_made_folder_is_not_seen(home: Path, run: RunFolder) -> None:
    (home / "runs" / ".draft-20200101-000000-x-0000").mkdir()
    (home / "runs" / "notes").mkdir()
    assert run_folders(home / "runs") == [run]


def test_lists_the_newest_first(home: Path) -> None:
    made = [RunFolder.create(home, kind="train", name="x") for _ in range(5)]
    assert run_folders(home / "runs") == made[::-1]


def test_a_folder_that_is_gone_is_no_run(home: Path) -> None:
    with pytest.raises(RunNotFound, match="no run 'gone'"):
        RunFolder(home / "runs" / "gone").header()


def test_names_the_file_that_cannot_be_read(run: RunFolder) -> None:
    (run.path / "plan.json").write_text(json.dumps({"spec": 1}))
    with pytest.raises(UnreadableFile, match=r"plan\.json"):
        run.plan()


def test_runs_of_one_name_in_one_moment_get_folders_of_their_own(home: Path) -> None:
    """So many that some of the last four digits that are drawn are another's already."""
    made = {RunFolder.create(home, kind="serve", name="same").id for _ in range(1500)}
    assert len(made) == 1500
