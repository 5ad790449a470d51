"""No dead options of pictures and sounds: each changes its plan, and what runs the job reads it."""

from __future__ import annotations

from typing import Any, Final

import pytest

from planning.conftest import media_world
from planning.test_no_dead_fields import at, read_pairs
from tunesmith.modalities import MODALITIES

MODELS: Final = {
    "vision": ("resnet", "labelled image"),
    "audio": ("whisper", "speech"),
    "multimodal": ("llava", "image question"),
    "diffusion": ("StableDiffusionPipeline", "caption"),
}
"""A model of each modality, and rows for it."""
OTHER_VALUE: Final[dict[str, dict[str, Any]]] = {
    "vision": {
        "image_size": 96, "random_crop": False, "crop_scale": 0.8, "flip": False, "colour": 0.3, "balance": True,
        "freeze_backbone": True,
    },
    "audio": {
        "language": "de", "max_seconds": 7.5, "spec_augment": True, "balance": True, "freeze_encoder": True,
        "freeze_convolutions": False,
    },
    "multimodal": {
        "train_on": "all", "chat_template": "other.jinja", "drop_duplicates": True, "freeze_vision": False,
        "freeze_image_tower": True, "freeze_text_tower": True, "prompt": "What is this?", "answered": 5,
        "answer_tokens": 9,
    },
    "diffusion": {
        "resolution": 96, "mirror": True, "train_text_encoder": True, "min_snr_gamma": 5.0,
        "sample_prompts": ["a boat"], "sample_every": 7, "sample_steps": 3,
    },
}  # fmt: skip
"""A value for each option that is not what the plan would choose."""
EVERY: Final = [(modality, name) for modality in MODELS for name in OTHER_VALUE[modality]]


@pytest.mark.parametrize("modality", [name for name in MODALITIES if name != "text"])
def test_knows_another_value_for_every_option(modality: str) -> None:
    assert OTHER_VALUE[modality].keys() == MODALITIES[modality].options.model_fields.keys()


@pytest.mark.parametrize(("modality", "name"), EVERY)
def test_changing_an_option_changes_the_plan(modality: str, name: str) -> None:
    world, value = media_world(modality, *MODELS[modality]), OTHER_VALUE[modality][name]
    plan, changed = world.plan(), world.plan(options={name: value})
    given = {decision.field: decision.reason for decision in changed.decisions}
    assert given.get(f"options.{name}") == "given", f"{name}: the plan does not say that it was given"
    spec = changed.model_dump(mode="json")["spec"]
    assert at(spec, f"options.{name}") == value, f"{name}: the plan does not keep what was given"
    assert spec != plan.model_dump(mode="json")["spec"], f"{name}: a dead option, the plan is the same without it"


@pytest.mark.parametrize(("modality", "name"), EVERY)
def test_what_runs_a_job_reads_every_option(modality: str, name: str) -> None:
    assert ("options", name) in read_pairs(), f"{modality}: a dead option, nothing reads `options.{name}`"
