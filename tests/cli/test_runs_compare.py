from __future__ import annotations

import json
from pathlib import Path

from cli.conftest import Call
from sample_plan import sample_plan
from tunesmith.runs.folder import RunFolder


def begun(home: Path, name: str) -> RunFolder:
    return RunFolder.create(
        home, kind="train", name=name, plan=sample_plan(home / name), folder=home, output=home / name
    )


def test_shows_runs_in_the_order_asked_for(tunesmith: Call, home: Path) -> None:
    first, second = begun(home, "first"), begun(home, "second")
    said = tunesmith("runs", "compare", "second", "first")
    assert said.status == 0, said.out
    head = said.out.splitlines()[0]
    assert head.index(second.id[-4:]) < head.index(first.id[-4:])
    assert "has not finished" in said.out


def test_json_holds_everything(tunesmith: Call, home: Path) -> None:
    begun(home, "first"), begun(home, "second")
    answer = json.loads(tunesmith("runs", "compare", "first", "second", "--json").out)
    assert [run["name"] for run in answer["runs"]] == ["first", "second"]
    assert set(answer) == {"runs", "settings", "results", "best", "warnings"}


def test_one_run_alone_is_refused(tunesmith: Call, home: Path) -> None:
    begun(home, "first")
    assert tunesmith("runs", "compare", "first").status == 2
