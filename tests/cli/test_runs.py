from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from cli.conftest import Call
from sample_plan import sample_plan
from scripted_worker import WORKER
from tunesmith.cli.runs import ago
from tunesmith.executors.local import LocalExecutor
from tunesmith.planning.facts import model_facts
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.status import status
from tunesmith.service.jobs import submit
from tunesmith.service.jobs.follow import follow
from tunesmith.settings import Settings

Begin = Callable[..., RunFolder]


@pytest.fixture
def begin(home: Path, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Start a run whose worker does this, and wait until it is over."""
    monkeypatch.setattr(submit, "LocalExecutor", lambda: LocalExecutor(worker=WORKER))
    model = model_facts(Path(shutil.copytree(tiny_model, tmp_path / "tiny")), "tiny")

    def begin(does: str = "train", *, wait: bool = True) -> RunFolder:
        run = submit.start(sample_plan(tmp_path / "lora", does=does, model=model), Settings(home=home))
        for event in follow(run, poll=0.005):
            if not wait and event.body.kind == "started":
                break
        return run

    return begin


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path / "home"


@pytest.mark.usefixtures("home")
def test_without_runs_it_says_how_to_start_one(tunesmith: Call) -> None:
    assert "tunesmith train" in tunesmith("runs", "list").out
    assert json.loads(tunesmith("runs", "list", "--json").out) == {"runs": []}


def test_lists_runs_newest_first(tunesmith: Call, begin: Begin) -> None:
    first, second = begin(), begin("be killed")
    lines = tunesmith("runs", "list").out.splitlines()
    newest, oldest = (next(line for line in lines if run.id in line) for run in (second, first))
    assert lines.index(newest) < lines.index(oldest)
    assert "failed" in newest
    assert "killed, most likely out of memory" in newest
    assert "succeeded" in oldest
    assert "3/3" in oldest
    listed = json.loads(tunesmith("runs", "list", "--json").out)["runs"]
    assert [(run["id"], run["state"]) for run in listed] == [(second.id, "failed"), (first.id, "succeeded")]


@pytest.mark.parametrize(("columns", "shown"), [("70", ["run", "state"]), ("80", ["run", "state", "step"])])
def test_a_narrow_terminal_shows_fewer_columns_and_each_id_whole(
    tunesmith: Call, home: Path, monkeypatch: pytest.MonkeyPatch, columns: str, shown: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")  # As on a terminal: elsewhere the table is as wide as it needs.
    monkeypatch.setenv("TERM", "xterm")
    made = [RunFolder.create(home, kind="train", name="smollm2-135m-instruct-chatterbot-corpus") for _ in range(2)]
    head, _, *rows = click.unstyle(tunesmith("runs", "list").out).splitlines()
    assert head.split() == shown
    assert [row.split()[0] for row in rows] == [run.id for run in reversed(made)]
    assert max(map(len, rows)) <= int(columns)


def test_lists_as_many_as_asked_and_says_that_there_are_more(tunesmith: Call, home: Path) -> None:
    made = [RunFolder.create(home, kind="train", name="faq") for _ in range(3)]
    served = RunFolder.create(home, kind="serve", name="model", request={})
    few = tunesmith("runs", "list", "-n", "1").out
    assert made[2].id in few
    assert made[1].id not in few
    assert "2 older ones" in few
    everything = tunesmith("runs", "list", "--all").out
    assert all(run.id in everything for run in [*made, served])
    assert served.id not in tunesmith("runs", "list").out


def test_shows_how_a_run_stands_and_what_to_do(tunesmith: Call, begin: Begin) -> None:
    run = begin("be killed")
    said = tunesmith("runs", "show", "faq")
    assert said.status == 0
    for fact in (run.id, "failed", "killed, most likely out of memory", "tunesmith runs resume", str(run.path)):
        assert fact in said.out
    shown = json.loads(tunesmith("runs", "show", run.id, "--json").out)
    assert (shown["state"], shown["exit"], shown["folder"], shown["checkpoints"]) == ("failed", 70, str(run.path), [])


def test_follows_a_run_to_its_end(tunesmith: Call, begin: Begin) -> None:
    run = begin()
    said = tunesmith("runs", "follow", run.id)
    assert said.status == 0
    assert f"Run {run.id} succeeded: the last epoch." in said.out
    events = [json.loads(line) for line in tunesmith("runs", "follow", run.id, "--json").out.splitlines()]
    assert events[-1]["kind"] == "finished"


def test_following_ends_with_the_runs_own_exit_status(tunesmith: Call, begin: Begin) -> None:
    run = begin("lack data")
    said = tunesmith("runs", "follow", run.id)
    assert said.status == 65
    assert "nothing.jsonl: no such data" in said.out


def test_prints_what_the_worker_printed(tunesmith: Call, begin: Begin) -> None:
    run = begin("crash")
    assert "Traceback" in tunesmith("runs", "logs", run.id).out
    assert tunesmith("runs", "logs", run.id, "-n", "1").out == "second line\n"
    assert json.loads(tunesmith("runs", "logs", run.id, "-n", "1", "--json").out) == {
        "run": run.id,
        "lines": ["second line"],
    }


def test_pauses_and_resumes(tunesmith: Call, begin: Begin) -> None:
    run = begin("train and wait", wait=False)
    assert f"tunesmith runs resume {run.id}" in tunesmith("runs", "pause", run.id).out
    assert tunesmith("runs", "follow", run.id).status == 75
    said = tunesmith("runs", "resume", run.id, "--detach", "--json")
    child = run.path.parent / json.loads(said.out)["run"]
    assert tunesmith("runs", "follow", child.name).status == 0
    assert RunFolder(child).parent() == run


def test_resuming_stays_with_the_run(tunesmith: Call, begin: Begin) -> None:
    run = begin("train and wait", wait=False)
    tunesmith("runs", "pause", run.id)
    tunesmith("runs", "follow", run.id)
    said = tunesmith("runs", "resume", run.id, "--json")
    assert said.status == 0
    assert json.loads(said.out)["steps"] == 3


@pytest.mark.parametrize("flags", [(), ("--now",)])
def test_cancels(tunesmith: Call, begin: Begin, flags: tuple[str, ...]) -> None:
    run = begin("wait", wait=False)
    assert json.loads(tunesmith("runs", "cancel", run.id, "--json", *flags).out)["asked"] == "cancel"
    assert tunesmith("runs", "follow", run.id).status == 76
    assert status(run).state == "cancelled"


def test_a_mistake_is_one_sentence(tunesmith: Call, begin: Begin) -> None:
    run = begin()
    for arguments, sentence in (
        (("show", "nobody"), "There is no run 'nobody'"),
        (("pause", run.id), "is succeeded: it cannot be paused"),
        (("resume", run.id), "Larger --epochs or --max-steps"),
    ):
        said = tunesmith("runs", *arguments)
        assert said.status == 78
        assert sentence in said.err
        assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "just now"), (30, "30 s ago"), (60, "1 min ago"), (7300, "2 h ago"), (86400, "1 d ago")],
)
def test_says_how_long_ago(seconds: float, words: str) -> None:
    assert ago(1000.0, 1000.0 + seconds) == words
