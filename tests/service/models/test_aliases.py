"""Every short name is whole."""

from __future__ import annotations

import pytest

from tunesmith.service.models.aliases import ALIASES, Alias, HubRepository, Wheel, card, models_for
from tunesmith.service.models.hub import is_hub_id


@pytest.mark.parametrize("alias", ALIASES.values(), ids=ALIASES.keys())
def test_names_an_origin_and_a_licence(alias: Alias) -> None:
    text = card(alias)
    assert alias.origin in text
    assert alias.licence in text


@pytest.mark.parametrize("alias", ALIASES.values(), ids=ALIASES.keys())
def test_is_pinned_or_a_hub_id(alias: Alias) -> None:
    match alias.source:
        case Wheel() as wheel:
            assert len(wheel.sha256) == 64
        case HubRepository(repository=repository):
            assert is_hub_id(repository)


def test_the_short_names_of_the_documents_are_known() -> None:
    texts = "llama-2-7b llama-2-13b mistral-7b phi-2 qwen-7b dialogpt"
    images = "resnet50 efficientnet-b0 vit yolov8n yolov8s sd-v1-5 clip llava"
    for name in [*texts.split(), *images.split(), "whisper", "wav2vec2"]:
        assert ALIASES[name].kind == "model"


def test_models_are_listed_by_what_they_are_for() -> None:
    assert {alias.name for alias in models_for("object_detector")} >= {"rt-detr", "d-fine", "yolov8n", "yolov8s"}
    assert ALIASES["llama-2-13b"].size == "13B" and ALIASES["smollm2-135m-instruct"].size == "135M"
