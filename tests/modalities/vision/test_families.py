"""Every family learns, in full, and by an adapter where it has layers for one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as T
from PIL import Image

from modalities.vision.pictures import built, draw_classes, plan_of
from tunesmith.modalities.base import family_of
from tunesmith.modalities.parts.building import RENAMED
from tunesmith.modalities.vision.families import FAMILIES
from tunesmith.modalities.vision.predictor import load_predictor

TRANSFORMER: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
}  # fmt: skip
STAGES: dict[str, Any] = {"image_size": 32, "patch_size": 2, "embed_dim": 8, "num_heads": [1, 2], "window_size": 4}

TINY: dict[str, tuple[str, Any]] = {
    "vit": ("ViTForImageClassification", T.ViTConfig(**TRANSFORMER, image_size=32, patch_size=8)),
    "deit": ("DeiTForImageClassification", T.DeiTConfig(**TRANSFORMER, image_size=32, patch_size=8)),
    "dinov2": ("Dinov2ForImageClassification", T.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8)),
    "beit": ("BeitForImageClassification", T.BeitConfig(
        **TRANSFORMER, image_size=32, patch_size=8, use_relative_position_bias=True, use_mean_pooling=True)),
    "swin": ("SwinForImageClassification", T.SwinConfig(**STAGES, depths=[1, 1])),
    "swinv2": ("Swinv2ForImageClassification", T.Swinv2Config(**STAGES, depths=[1, 1])),
    "convnext": ("ConvNextForImageClassification", T.ConvNextConfig(
        hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, image_size=32)),
    "convnextv2": ("ConvNextV2ForImageClassification", T.ConvNextV2Config(
        hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, image_size=32)),
    "resnet": ("ResNetForImageClassification", T.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")),
    "mobilenet_v2": ("MobileNetV2ForImageClassification", T.MobileNetV2Config(
        depth_multiplier=0.25, image_size=32, tf_padding=False)),
    "efficientnet": ("EfficientNetForImageClassification", T.EfficientNetConfig(
        width_coefficient=0.25, depth_coefficient=0.25, hidden_dim=320, image_size=32)),
    "clip": ("CLIPForImageClassification", T.CLIPConfig(
        text_config={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32},
        vision_config={**TRANSFORMER, "image_size": 32, "patch_size": 8})),
}  # fmt: skip
"""A tiny model of each type that tells classes of pictures apart."""
CASES = [
    (model_type, method) for family in FAMILIES if family.kind == "picture" for model_type in family.model_types
    for method in ("full", *(("lora",) if family.targets else ()), *(("qlora",) if family.four_bit else ()))
]  # fmt: skip


def write(folder: Path, model_type: str) -> Path:
    """Write a tiny model; of CLIP the whole pair, as it comes from the hub."""
    kind, config = TINY[model_type]
    torch.manual_seed(0)
    model = T.CLIPModel(config) if model_type == "clip" else getattr(T, kind)(config)
    model.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": size}))
    return folder


def test_every_type_of_model_of_pictures_is_tried() -> None:
    assert set(TINY) == {each for family in FAMILIES if family.kind == "picture" for each in family.model_types}


@pytest.mark.parametrize(("model_type", "method"), CASES)
def test_a_step_is_taken_and_the_result_tells_what_transformers_tells(
    model_type: str, method: str, tmp_path: Path
) -> None:
    folder, data = write(tmp_path / "model", model_type), draw_classes(tmp_path / "data", width=32, height=32)
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
    if method != "full":
        assert adapted(pieces.model) == sought(pieces.model, family_of(model_type, FAMILIES).targets or ())
        return
    assert prepared.labels == ["black", "grey", "white"]
    picture = tmp_path / "plain.png"
    Image.new("RGB", (50, 40), (200, 120, 40)).save(picture)
    told = T.pipeline("image-classification", str(tmp_path / "out"))(Image.open(picture))
    found = load_predictor(tmp_path / "out").predict(picture.read_bytes())["labels"]
    assert [each["label"] for each in found] == [each["label"] for each in told]
    assert [each["score"] for each in found] == pytest.approx([each["score"] for each in told], abs=1e-4)


def adapted(model: Any) -> set[str]:
    """The layers that an adapter sits on."""
    return {name.removesuffix(".lora_A") for name, _ in model.named_modules() if name.endswith(".lora_A")}


def sought(model: Any, targets: tuple[str, ...]) -> set[str]:
    """The layers of these names, or of those that transformers gives them in memory."""
    names = {*targets, *(RENAMED.get(target, target) for target in targets)}
    return {name for name, _ in model.named_modules() if name.rpartition(".")[2] in names}
