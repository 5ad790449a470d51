"""Drawn classes of pictures, and what a run would build of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tunesmith.data.prepare import PreparedData
from tunesmith.modalities import task_of
from tunesmith.modalities.base import load
from tunesmith.planning.draft import draft
from tunesmith.spec.job import JobSpec
from tunesmith.spec.plan import Plan

SHADES = {"black": 40, "grey": 128, "white": 215}


def draw_classes(folder: Path, count: int = 4, *, width: int = 40, height: int = 36) -> Path:
    """Write ``count`` noisy pictures of each shade as class folders."""
    random = np.random.default_rng(0)
    for name, shade in SHADES.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.clip(random.normal(shade, 15, (height, width, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def plan_of(model: Path, data: Path, *, options: dict[str, Any] | None = None, **recipe: Any) -> Plan:
    """The plan of a job on class folders."""
    values = {
        "model": {"source": str(model)},
        "datasets": [{"uri": str(data)}],
        "recipe": {"precision": "fp32", **recipe},
        "options": options or {},
    }
    return draft(JobSpec.model_validate(values), model)


def built(plan: Plan, folder: Path) -> tuple[Any, PreparedData]:
    """What a run of the plan trains, and its data."""
    from tunesmith.data.prepare import prepare
    from tunesmith.modalities import MODALITIES
    from tunesmith.planning.draft import checked_options

    modality = MODALITIES[plan.model.modality]
    encoder = modality.encoder(Path(plan.model.path), checked_options(plan.spec, modality))
    data = prepare(
        plan.spec.datasets, encoder, cache_dir=folder / "cache", length=plan.spec.recipe.length, split=0.25,
        split_typed=False, seed=0, strict=False, drop_duplicates=False, length_chosen=False,
        progress=lambda what, share: None,
    )  # fmt: skip
    build = load(task_of(plan.spec.task).builder)
    return build(plan, data.train, data.validation, torch.device("cpu"), labels=data.labels), data
