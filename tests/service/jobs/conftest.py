from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sample_plan import sample_plan
from scripted_worker import WORKER
from tunesmith.executors.local import LocalExecutor
from tunesmith.planning.facts import model_facts
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs import submit
from tunesmith.service.jobs.follow import follow
from tunesmith.settings import Settings

Begin = Callable[..., RunFolder]


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "lora"


@pytest.fixture(autouse=True)
def scripted_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are real processes with the real harness; what they do is written in ``scripted_worker.py``."""
    monkeypatch.setattr(submit, "LocalExecutor", lambda: LocalExecutor(worker=WORKER))


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A model of this test's own."""
    return Path(shutil.copytree(tiny_model, tmp_path / "tiny"))


@pytest.fixture
def begin(settings: Settings, output: Path, model: Path) -> Begin:
    """Start a run that does this."""

    def begin(does: str = "train") -> RunFolder:
        return submit.start(sample_plan(output, does=does, model=model_facts(model, "tiny")), settings)

    return begin


def until_over(run: RunFolder) -> RunFolder:
    for _ in follow(run, poll=0.005):
        pass
    return run


def until_step(run: RunFolder, step: int) -> RunFolder:
    """Wait until the run has taken this step."""
    for event in follow(run, poll=0.005):
        if getattr(event.body, "step", 0) == step and event.body.kind == "step":
            break
    return run
