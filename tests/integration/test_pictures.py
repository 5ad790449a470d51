"""A job on pictures, killed and resumed, and its result as transformers opens it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from integration.jobs import begin, kill, until_over, until_step, weights_digest
from modalities.vision.pictures import draw_classes
from modalities.vision.test_families import write
from tunesmith.service.jobs.resume import Resumable, resume
from tunesmith.settings import Settings
from tunesmith.spec.job import DatasetRef, Evaluation, JobSpec, ModelRef, Output, Resources
from tunesmith.spec.recipe import Recipe


def job(model: Path, data: Path, output: Path) -> JobSpec:
    recipe = {"epochs": 4, "learning_rate": 0.01, "batch": {"size": 4}, "checkpoints": {"every_steps": 2}}
    return JobSpec(
        model=ModelRef(source=str(model)),
        datasets=[DatasetRef(uri=str(data))],
        recipe=Recipe.model_validate(recipe),
        evaluation=Evaluation(validation_split=0.25, test_prompts=0),
        output=Output(dir=str(output)),
        resources=Resources(device="cpu", threads=1),
    )


def test_killed_and_resumed_it_ends_with_the_weights_of_an_uninterrupted_run(home: Path, tmp_path: Path) -> None:
    from transformers import pipeline

    model, data = write(tmp_path / "model", "mobilenet_v2"), draw_classes(tmp_path / "data", 8)
    settings = Settings(home=home)
    straight = until_over(begin(job(model, data, tmp_path / "straight"), settings))
    broken = begin(job(model, data, tmp_path / "broken"), settings)
    assert until_step(broken, 7)
    kill(broken)
    resumed = until_over(resume(Resumable(broken), settings))
    assert weights_digest(resumed) == weights_digest(straight)
    told = pipeline("image-classification", model=str(tmp_path / "straight"))(Image.open(data / "black" / "0.png"))
    assert {each["label"] for each in told} == {"black", "grey", "white"}
    assert sum(each["score"] for each in told) == pytest.approx(1, abs=1e-3)
