"""A tiny detector learns three shapes in 240 drawn scenes, and a kill changes nothing of what it learns."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from integration.jobs import begin, kill, tiny_job, until_over, until_step, weights_digest
from made_scenes import make_detector, write_scenes
from tunesmith.runs.status import status
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.resume import Resumable, resume
from tunesmith.settings import Settings
from tunesmith.spec.events import Evaluated
from tunesmith.spec.job import Evaluation, Resources
from tunesmith.spec.recipe import BatchRecipe, StoppingRecipe
from tunesmith.spec.states import RunState

pytestmark = pytest.mark.chaos
SECONDS = 300


def test_shapes_are_found_after_five_minutes(tmp_path: Path, home: Path) -> None:
    scenes = write_scenes(tmp_path / "scenes", train=240, val=60)
    model = make_detector(tmp_path / "model", able=True, size=128)
    job = tiny_job(
        model, scenes, tmp_path / "out", method="full", length=None, epochs=24, learning_rate=0.001, evaluate_every=80,
        batch=BatchRecipe(size=16, accumulation=1, micro_tokens=1024), stopping=StoppingRecipe(patience=100),
        options={"random_crop": False}, evaluation=Evaluation(), resources=Resources(device="cpu"),
    )  # fmt: skip
    began = time.monotonic()
    run = until_over(begin(job, Settings(home=home)))
    seconds = time.monotonic() - began
    assert status(run).state is RunState.SUCCEEDED, run.log.read_text()
    found = [event.body.metrics for event in follow(run) if isinstance(event.body, Evaluated)]
    print(f"mAP@50 {max(each['map_50'] for each in found):.3f} after {seconds:.0f} s: {found[-1]}")
    assert max(each["map_50"] for each in found) >= 0.85
    assert seconds < SECONDS


def test_three_kills_change_nothing(tmp_path: Path, home: Path) -> None:
    settings, chance = Settings(home=home), random.Random(5)
    scenes = write_scenes(tmp_path / "scenes", train=24, val=6, size=64)
    model = make_detector(tmp_path / "model")
    changes: dict[str, Any] = {
        "method": "full", "length": None, "epochs": 8, "batch": BatchRecipe(size=6, accumulation=1, micro_tokens=64),
        "evaluation": Evaluation(),
    }  # fmt: skip
    straight = until_over(begin(tiny_job(model, scenes, tmp_path / "straight", **changes), settings))
    assert status(straight).state is RunState.SUCCEEDED, straight.log.read_text()
    run = begin(tiny_job(model, scenes, tmp_path / "killed", **changes), settings)
    for step in (5, 11, 17):
        assert until_step(run, step + chance.randint(0, 3))
        kill(run)
        run = resume(Resumable(run), settings)
    until_over(run)
    assert status(run).state is RunState.SUCCEEDED, run.log.read_text()
    assert weights_digest(run) == weights_digest(straight)
