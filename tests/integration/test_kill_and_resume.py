"""Killed, paused and resumed: the same weights, bit for bit. ``tests/chaos/test_kill_and_resume.py`` does it often."""

from __future__ import annotations

from pathlib import Path

from integration.conftest import STEPS
from integration.jobs import begin, kill, steps_of, tiny_job, until_over, until_step, weights_digest
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.status import status
from tunesmith.service.jobs.control import pause
from tunesmith.service.jobs.resume import find_resumable, resume
from tunesmith.settings import Settings
from tunesmith.spec.states import RunState


def test_a_killed_and_paused_run_ends_with_the_same_weights(
    trained: RunFolder, settings: Settings, tiny_model: Path, chat_data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "lora"
    killed = begin(tiny_job(tiny_model, chat_data, output, epochs=10), settings)
    assert until_step(killed, 10)
    assert (status(kill(killed)).state, status(killed).exit) == (RunState.FAILED, 70)
    assert not (output / "run.json").exists()

    paused = resume(find_resumable(settings, output=output), settings)
    assert until_step(paused, 20)
    pause(paused)
    assert (status(until_over(paused)).state, status(paused).exit) == (RunState.PAUSED, 75)

    done = until_over(resume(find_resumable(settings, output=output), settings))
    assert status(done).state is RunState.SUCCEEDED, done.log.read_text()
    assert steps_of(done)[0].step == steps_of(paused)[-1].step + 1
    assert steps_of(done)[-1].step == STEPS
    losses = {step.step: step.loss for run in (killed, paused, done) for step in steps_of(run)}
    assert losses == {step.step: step.loss for step in steps_of(trained)}
    assert weights_digest(done) == weights_digest(trained)
