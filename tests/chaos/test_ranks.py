"""Two processes that share each step, killed and paused: the same weights as without."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.conftest import write_chat
from integration.jobs import begin, kill, tiny_job, until_over, until_step, weights_digest
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.status import status
from tunesmith.service.jobs.control import cancel, pause
from tunesmith.service.jobs.resume import Resumable, resume
from tunesmith.settings import Settings
from tunesmith.spec.job import JobSpec, Resources
from tunesmith.spec.recipe import BatchRecipe
from tunesmith.spec.states import RunState


@pytest.fixture
def job(tiny_model: Path, tmp_path: Path) -> JobSpec:
    return tiny_job(
        tiny_model,
        write_chat(tmp_path / "chat.jsonl"),
        tmp_path / "lora",
        epochs=20,
        batch=BatchRecipe(size=8, accumulation=1, micro_tokens=100),
        resources=Resources(device="cpu", processes=2, threads=1),
    )


def ended(run: RunFolder) -> tuple[RunState, int | None]:
    now = status(until_over(run))
    return now.state, now.exit


@pytest.mark.chaos
def test_two_ranks_are_killed_paused_and_resumed_exactly(job: JobSpec, home: Path) -> None:
    settings = Settings(home=home)
    straight = begin(job, settings)
    assert ended(straight) == (RunState.SUCCEEDED, 0), straight.log.read_text()

    killed = begin(job, settings)
    assert until_step(killed, 10)
    assert status(kill(killed)).state is RunState.FAILED
    paused = resume(Resumable(killed), settings)
    assert until_step(paused, 20)
    pause(paused)
    assert ended(paused) == (RunState.PAUSED, 75), paused.log.read_text()
    done = resume(Resumable(paused), settings)
    assert ended(done) == (RunState.SUCCEEDED, 0), done.log.read_text()
    assert weights_digest(done) == weights_digest(straight)


@pytest.mark.chaos
def test_two_ranks_are_cancelled(job: JobSpec, home: Path) -> None:
    run = begin(job, Settings(home=home))
    assert until_step(run, 3)
    cancel(run)
    assert ended(run) == (RunState.CANCELLED, 76), run.log.read_text()
