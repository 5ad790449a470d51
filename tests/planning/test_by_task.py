from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from planning.conftest import media_world
from tunesmith.modalities import MODALITIES
from tunesmith.planning.by_task import BY_TASK

LABELLED: dict[str, Any] = {
    "kinds": {"label": 2000}, "lengths": {"p50": 90, "p95": 400, "p99": 500, "max": 510}, "rows": 3200, "exact": True,
}  # fmt: skip


def reason(plan: Any, field: str) -> str:
    return next(decision.reason for decision in plan.decisions if decision.field == field)


@pytest.mark.parametrize(("method", "rate"), [("lora", 1.25e-5), ("full", 1.25e-6)])
def test_preferences_take_a_fortieth_of_the_rate(world: Any, method: str, rate: float) -> None:
    plan = world.but(kinds={"preference": 2000}).plan(recipe={"method": method})
    assert plan.spec.task == "dpo"
    assert plan.spec.recipe.learning_rate == pytest.approx(rate)
    assert "x 0.025 for dpo" in reason(plan, "recipe.learning_rate")


def test_classes_are_told_by_the_beginning_of_a_text_in_two_passes_with_few_evaluations(world: Any) -> None:
    recipe = (plan := world.but(**LABELLED).plan()).spec.recipe
    assert plan.spec.task == "classification"
    assert (recipe.length, recipe.epochs, recipe.learning_rate) == (128, 2, 5e-4)
    assert "beginning of a text" in reason(plan, "recipe.length")
    assert "25% of an epoch" in reason(plan, "recipe.evaluate_every")


def test_short_texts_need_no_more_than_they_have(world: Any) -> None:
    lengths = {"p50": 20, "p95": 60, "p99": 70, "max": 77}
    assert world.but(**LABELLED | {"lengths": lengths}).plan().spec.recipe.length == 80


def test_what_is_typed_stays(world: Any) -> None:
    plan = world.but(**LABELLED).plan(recipe={"length": 300, "epochs": 7, "learning_rate": 0.003, "evaluate_every": 9})
    recipe = plan.spec.recipe
    assert (recipe.length, recipe.epochs, recipe.learning_rate, recipe.evaluate_every) == (300, 7, 0.003, 9)


def test_a_text_for_an_encoder_has_its_words_covered(world: Any) -> None:
    encoder = world.but(model={"kind": "encoder", "model_type": "bert"}, kinds={"text": 100})
    assert encoder.plan().spec.task == "mlm"


def test_every_entry_is_of_a_task() -> None:
    assert set(BY_TASK) <= {task.name for modality in MODALITIES.values() for task in modality.tasks}


MEDIA = {
    "image-classification": ("vision", "vit", "labelled image"),
    "object-detection": ("vision", "detr", "boxed image"),
    "speech-recognition": ("audio", "wav2vec2", "speech"),
    "audio-classification": ("audio", "wav2vec2", "labelled sound"),
    "image-text-contrastive": ("multimodal", "clip", "caption"),
    "image-text-to-text": ("multimodal", "llava", "image question"),
    "text-to-image": ("diffusion", "StableDiffusionPipeline", "caption"),
}
"""A model and rows for each task on pictures and sounds."""
FULL: dict[str, Any] = {"method": "full"}
LORA: dict[str, Any] = {"method": "lora"}


def test_every_task_on_pictures_and_sounds_has_values_of_its_own() -> None:
    tasks = {task.name for name, modality in MODALITIES.items() if name != "text" for task in modality.tasks}
    assert tasks == set(MEDIA) <= set(BY_TASK)


@pytest.mark.parametrize(
    ("task", "recipe", "field", "value", "why"),
    [
        ("image-classification", FULL, "epochs", 10, "x 3.3 for image-classification"),
        ("image-classification", FULL, "learning_rate", 5e-5, "usual for image-classification trained whole"),
        ("image-classification", FULL, "batch.size", 16, "computed at once"),
        ("image-classification", FULL, "stopping.patience", 3, "evaluations without a better accuracy"),
        ("image-classification", FULL, "stopping.metric", "accuracy", "what image-classification is for"),
        ("object-detection", {}, "method", "full", "no layers for an adapter"),
        ("object-detection", {}, "epochs", 50, "x 17 for object-detection"),
        ("object-detection", {}, "learning_rate", 5e-5, "usual for object-detection trained whole"),
        ("object-detection", {}, "batch.size", 16, "computed at once"),
        ("object-detection", {}, "batch.accumulation", 1, "object-detection aims at 16 rows a step"),
        ("object-detection", {}, "stopping.patience", 20, "without a better map, usual for object-detection"),
        ("object-detection", {}, "stopping.metric", "map", "what object-detection is for"),
        ("speech-recognition", FULL, "epochs", 10, "x 3.3 for speech-recognition"),
        ("speech-recognition", FULL, "learning_rate", 1e-4, "usual for speech-recognition trained whole"),
        ("speech-recognition", FULL, "stopping.patience", 3, "evaluations without a better wer"),
        ("audio-classification", FULL, "epochs", 10, "x 3.3 for audio-classification"),
        ("audio-classification", FULL, "learning_rate", 3e-5, "usual for audio-classification trained whole"),
        ("image-text-contrastive", FULL, "learning_rate", 1e-5, "usual for image-text-contrastive trained whole"),
        ("image-text-contrastive", LORA, "learning_rate", 1e-4, "for image-text-contrastive"),
        ("image-text-contrastive", LORA, "batch.accumulation", 16, "image-text-contrastive aims at 64 rows a step"),
        ("image-text-to-text", FULL, "learning_rate", 2e-5, "usual for image-text-to-text trained whole"),
        ("image-text-to-text", LORA, "learning_rate", 2e-4, "for image-text-to-text"),
        ("text-to-image", LORA, "adapter.rank", 4, "what text-to-image is usually learned with"),
        ("text-to-image", LORA, "adapter.alpha", 8, "twice the rank"),
        ("text-to-image", LORA, "learning_rate", 1e-4, "for text-to-image"),
        ("text-to-image", LORA, "schedule", "constant", "usual for text-to-image"),
        ("text-to-image", LORA, "warmup_steps", 500, "usual for text-to-image"),
        ("text-to-image", LORA, "checkpoints.every_steps", 500, "usual for text-to-image"),
        ("text-to-image", LORA, "epochs", 10, "x 3.3 for text-to-image"),
        ("text-to-image", LORA, "stopping.patience", 10, "usual for text-to-image"),
    ],
)
def test_what_is_open_is_what_is_usual_for_the_task(
    task: str, recipe: dict[str, Any], field: str, value: object, why: str
) -> None:
    plan = media_world(*MEDIA[task]).plan(recipe=recipe)
    assert plan.spec.task == task
    assert told(plan.spec.recipe, field) == (pytest.approx(value) if isinstance(value, float) else value)
    assert why in reason(plan, f"recipe.{field}")


@pytest.mark.parametrize(
    ("modality", "model_type", "kind", "rate"),
    [
        ("vision", "resnet", "labelled image", 1e-4),
        ("vision", "mobilenet_v2", "labelled image", 1e-4),
        ("vision", "rt_detr", "boxed image", 1e-4),
        ("vision", "d_fine", "boxed image", 1e-4),
        ("vision", "yolos", "boxed image", 2.5e-5),
        ("vision", "deformable_detr", "boxed image", 5e-5),
        ("audio", "whisper", "speech", 1e-5),
        ("audio", "whisper", "labelled sound", 1e-5),
        ("audio", "wavlm", "speech", 1e-4),
        ("audio", "audio-spectrogram-transformer", "labelled sound", 3e-5),
    ],
)
def test_families_trained_whole_have_the_rate_of_their_authors_or_the_tasks(
    modality: str, model_type: str, kind: str, rate: float
) -> None:
    assert media_world(modality, model_type, kind).plan(recipe=FULL).spec.recipe.learning_rate == pytest.approx(rate)


def test_a_mode_moves_what_is_usual() -> None:
    recipe = media_world(*MEDIA["object-detection"]).plan(recipe={"mode": "slow"}).spec.recipe
    assert (recipe.epochs, recipe.learning_rate, recipe.batch.size) == (83, pytest.approx(2.5e-5), 16)


def test_a_short_run_of_pictures_that_are_made_warms_up_as_others_do() -> None:
    plan = media_world(*MEDIA["text-to-image"]).but(rows=40).plan()
    assert plan.spec.recipe.warmup_steps is None


TYPED: dict[str, Any] = {
    "epochs": 7, "learning_rate": 0.003, "batch": {"size": 2, "accumulation": 3}, "schedule": "linear",
    "stopping": {"patience": 4}, "checkpoints": {"every_steps": 77}, "warmup_steps": 11, "evaluate_every": 9,
}  # fmt: skip


@pytest.mark.parametrize("task", sorted(MEDIA))
def test_what_is_typed_of_a_task_on_pictures_or_sounds_stays(task: str) -> None:
    plan = media_world(*MEDIA[task]).plan(recipe=TYPED)
    for field, value in flat(TYPED):
        assert told(plan.spec.recipe, field) == value, field
        assert reason(plan, f"recipe.{field}") == "given", field


def told(recipe: Any, field: str) -> Any:
    for name in field.split("."):
        recipe = getattr(recipe, name)
    return recipe


def flat(tree: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


@pytest.mark.parametrize(
    ("task", "options", "warning"),
    [
        ("object-detection", {"balance": True}, "--balance-classes is for image-classification: it has no effect"),
        ("speech-recognition", {"balance": True}, "--balance-classes is for audio-classification: it has no effect"),
        ("image-text-contrastive", {"answered": 3}, "--answered-rows is for image-text-to-text: it has no effect"),
        ("image-text-contrastive", {"train_on": "all"}, "--train-on is for image-text-to-text: it has no effect"),
        ("image-text-to-text", {"freeze_text_tower": True}, "--freeze-text-tower is for image-text-contrastive: it"),
        ("image-classification", {"freeze_backbone": True}, "--freeze-backbone trains the head alone: what an"),
        ("audio-classification", {"freeze_encoder": True}, "--freeze-encoder trains the head alone: what an"),
        ("audio-classification", {"language": "de"}, "--language is for speech-recognition: it has no effect"),
        ("speech-recognition", {"language": "de"}, "--language is for other models: it has no effect on Wav2Vec2"),
        ("speech-recognition", {"freeze_convolutions": False}, "--no-freeze-convolutions is for method full: it has"),
        ("image-text-to-text", {"freeze_vision": False}, None),
        ("speech-recognition", {"freeze_encoder": True}, None),
        ("object-detection", {"freeze_backbone": True}, None),
        ("image-classification", {"balance": True}, None),
        ("image-text-to-text", {"answered": 3}, None),
        ("object-detection", {"balance": False}, None),
    ],
)
def test_an_option_that_does_nothing_or_leaves_an_adapter_nothing_is_named(
    task: str, options: dict[str, Any], warning: str | None
) -> None:
    warnings = media_world(*MEDIA[task]).plan(options=options).warnings
    found = [each for each in warnings if "no effect" in each]
    assert (found == []) if warning is None else found[0].startswith(warning)


def test_a_length_that_was_suggested_is_dropped_where_nothing_is_cut() -> None:
    plan = media_world(*MEDIA["image-classification"]).plan(suggested={"recipe.length": 64})
    assert plan.spec.recipe.length == 196
    assert "64 was suggested, and nothing is cut here" in reason(plan, "recipe.length")
