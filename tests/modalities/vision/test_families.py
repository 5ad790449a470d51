"""Every family learns, in full, and by an adapter where it has layers for one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as T

from modalities.vision.pictures import built, draw_classes, plan_of
from tunesmith.modalities.vision.families import FAMILIES

TINY: dict[str, tuple[str, Any]] = {
    "ViT": ("ViTForImageClassification", T.ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=32, patch_size=8)),
    "Swin": ("SwinForImageClassification", T.SwinConfig(
        image_size=32, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4)),
    "ConvNeXt": ("ConvNextForImageClassification", T.ConvNextConfig(
        hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, image_size=32)),
    "ResNet": ("ResNetForImageClassification", T.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")),
    "MobileNetV2": ("MobileNetV2ForImageClassification", T.MobileNetV2Config(
        depth_multiplier=0.25, image_size=32, tf_padding=False)),
    "EfficientNet": ("EfficientNetForImageClassification", T.EfficientNetConfig(
        width_coefficient=0.25, depth_coefficient=0.25, hidden_dim=320, image_size=32)),
    "CLIP": ("CLIPForImageClassification", T.CLIPConfig(
        text_config={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32},
        vision_config={"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
                       "image_size": 32, "patch_size": 8})),
}  # fmt: skip
"""A tiny model of each family that tells classes of pictures apart."""
CASES = [
    (family.name, method) for family in FAMILIES if family.kind == "picture"
    for method in ("full", *(("lora",) if family.targets else ()))
]  # fmt: skip


def write(folder: Path, family: str) -> Path:
    """Write a tiny model; of CLIP the whole pair, as it comes from the hub."""
    kind, config = TINY[family]
    torch.manual_seed(0)
    model = T.CLIPModel(config) if family == "CLIP" else getattr(T, kind)(config)
    model.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": size}))
    return folder


def test_every_family_of_pictures_is_tried() -> None:
    assert set(TINY) == {family.name for family in FAMILIES if family.kind == "picture"}


@pytest.mark.parametrize(("family", "method"), CASES)
def test_a_step_is_taken_and_the_result_opens_with_transformers(family: str, method: str, tmp_path: Path) -> None:
    folder, data = write(tmp_path / "model", family), draw_classes(tmp_path / "data")
    plan = plan_of(folder, data, method=method)
    assert plan.spec.task == "image-classification"
    pieces, prepared = built(plan, tmp_path)
    weights = [each for each in pieces.model.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(weights, 0.01)
    before = [each.detach().clone() for each in weights]
    pieces.model.train()
    loss = pieces.loss(pieces.train.batch(range(6), 0)) / 6
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    assert any(not torch.equal(old, new) for old, new in zip(before, weights, strict=True))
    pieces.save(tmp_path / "out")
    if method == "full":
        opened = T.AutoModelForImageClassification.from_pretrained(tmp_path / "out")
        assert list(opened.config.id2label.values()) == prepared.labels == ["black", "grey", "white"]
