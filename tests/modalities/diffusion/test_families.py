"""Every family: its facts."""

from __future__ import annotations

import pytest

from tunesmith.modalities.base import family_of
from tunesmith.modalities.diffusion import MODALITY
from tunesmith.modalities.diffusion.families import FAMILIES

ROWS = [
    ("StableDiffusionPipeline", "Stable Diffusion"),
    ("StableDiffusionXLPipeline", "Stable Diffusion XL"),
]


@pytest.mark.parametrize(("pipeline", "name"), ROWS)
def test_a_family_is_known_by_the_class_of_its_pipeline(pipeline: str, name: str) -> None:
    family = family_of(pipeline, FAMILIES)
    assert (family.name, family.kind, family.four_bit, family.eight_bit) == (name, "diffusion", False, False)
    assert family.targets == ("to_q", "to_k", "to_v", "to_out.0")


def test_every_family_has_a_row_above() -> None:
    assert {pipeline for family in FAMILIES for pipeline in family.model_types} == {pipeline for pipeline, _ in ROWS}


def test_the_task_answers_to_its_other_names() -> None:
    [task] = MODALITY.tasks
    assert {"text_to_image", "text-to-image-lora", "text2image"} <= set(task.aliases)
