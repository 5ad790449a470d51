"""Models of pictures answer: classes with their chances, things and where they are."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tunesmith.modalities.vision.predictor import BoxPredictor, ClassPredictor, load_predictor
from tunesmith.spec.errors import AdapterMismatch, UnreadableMedia, Untrained


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    names = {0: "circle", 1: "cross", 2: "square"}
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64, image_size=32, patch_size=8,
        num_labels=3, id2label=names, label2id={name: place for place, name in names.items()},
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import YolosConfig, YolosForObjectDetection

    folder = tmp_path_factory.mktemp("yolos")
    torch.manual_seed(0)
    config = YolosConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64, image_size=[64, 64],
        patch_size=16, num_detection_tokens=5, num_labels=2, use_mid_position_embeddings=False,
        id2label={0: "cat", 1: "dog"}, label2id={"cat": 0, "dog": 1},
    )  # fmt: skip
    YolosForObjectDetection(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 64, "width": 64}}))
    return folder


def picture(width: int = 40, height: int = 36) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def loaded(folder: Path, **given: Any) -> Any:
    return load_predictor(folder, **given)


def test_classes_come_likeliest_first_and_add_up_to_one(classifier: Path) -> None:
    predictor = loaded(classifier)
    assert isinstance(predictor, ClassPredictor)
    found = predictor.predict(picture())["labels"]
    scores = [each["score"] for each in found]
    assert {each["label"] for each in found} == {"circle", "cross", "square"}
    assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1)
    assert predictor.predict(picture(), top_k=1)["labels"] == found[:1]


def test_a_square_picture_is_seen_almost_as_transformers_sees_it(classifier: Path) -> None:
    from transformers import pipeline

    held = io.BytesIO(picture(32, 32))
    wanted = {
        each["label"]: each["score"] for each in pipeline("image-classification", str(classifier))(Image.open(held))
    }
    found = {each["label"]: each["score"] for each in loaded(classifier).predict(picture(32, 32))["labels"]}
    assert found == pytest.approx(wanted, abs=2e-3)


def test_things_are_found_inside_of_the_picture_as_it_was_sent(detector: Path) -> None:
    predictor = loaded(detector)
    assert isinstance(predictor, BoxPredictor)
    found = predictor.predict(picture(200, 100), threshold=0.0)["boxes"]
    assert found and {each["label"] for each in found} <= {"cat", "dog"}
    for each in found:
        left, top, width, height = each["box"]
        assert -1 <= left + width / 2 <= 201 and -1 <= top + height / 2 <= 101
    assert predictor.predict(picture(200, 100), threshold=1.0) == {"boxes": []}
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)


@pytest.mark.parametrize("content", [b"", b"nothing", picture()[:60]], ids=["empty", "no picture", "truncated"])
def test_what_is_no_picture_is_refused(classifier: Path, content: bytes) -> None:
    with pytest.raises(UnreadableMedia):
        loaded(classifier).predict(content)


def test_a_model_without_classes_is_to_be_trained_first(classifier: Path, tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    ViTModel(config).save_pretrained(tmp_path)
    with pytest.raises(Untrained, match="Train it first"):
        loaded(tmp_path)


def test_an_adapter_of_another_size_is_refused(classifier: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    (tmp_path / "adapter_info.json").write_text(
        json.dumps({"task": "image-classification", "classes": ["a", "b"], "base_model": "other"})
    )
    (tmp_path / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": 2, "target_modules": ["query"]})
    )
    weights = {"base_model.model.vit.layers.0.nowhere.lora_A.weight": torch.ones(2, 32)}
    save_file(weights, tmp_path / "adapter_model.safetensors")
    with pytest.raises(AdapterMismatch, match="other"):
        loaded(classifier, adapter=tmp_path)
