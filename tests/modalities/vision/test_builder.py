"""What is built of a ViT computes what PEFT computes: over its weights, and over bitsandbytes' layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from modalities.vision.pictures import SHADES, built, draw_classes, plan_of
from training.test_quantization import assert_same, reference
from tunesmith.spec.plan import Plan
from tunesmith.spec.recipe import AdapterRecipe, QuantizationRecipe
from tunesmith.training.stored import EightBit, FourBit

LOADER = "AutoModelForImageClassification"


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny ViT with a head for the three shades; its widths are those that bitsandbytes' CPU kernel is right for."""
    folder = tmp_path_factory.mktemp("vit") / "model"
    torch.manual_seed(0)
    names = dict(enumerate(sorted(SHADES)))
    config = transformers.ViTConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, image_size=32, patch_size=8,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, id2label=names,
        label2id={name: place for place, name in names.items()},
    )  # fmt: skip
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 32, "width": 32}}))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_classes(tmp_path_factory.mktemp("shades") / "set", 4)


def planned(vit: Path, data: Path, method: str, **recipe: Any) -> Plan:
    adapter = AdapterRecipe(rank=4, alpha=8, dropout=0.0)
    return plan_of(vit, data, method=method, adapter=adapter, options={"random_crop": False}, **recipe)


IN_MEMORY = {"query": "q_proj", "value": "v_proj"}
"""What transformers calls the layers that ViT's files, and documents, call otherwise."""


def peft_over(base: Any, plan: Plan) -> Any:
    """The adapter as somebody would put it on with PEFT alone, drawn from the same seed."""
    from peft import LoraConfig, get_peft_model

    targets = [IN_MEMORY[name] for name in plan.spec.recipe.adapter.targets or ()]
    config = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=targets, modules_to_save=["classifier"])
    torch.manual_seed(plan.spec.seed)
    return get_peft_model(base, config)


def trained(model: Any) -> dict[str, torch.nn.Parameter]:
    return {name: each for name, each in model.named_parameters() if each.requires_grad}


def turn(model: Any) -> None:
    """Give the second factors, which begin at nothing, values: else the first ones have no gradient."""
    generator = torch.Generator().manual_seed(1)
    for name, weight in sorted(trained(model).items()):
        if "lora_B" in name:
            weight.data.normal_(std=0.1, generator=generator)


def compared(plan: Plan, base: Any, tmp_path: Path) -> Any:
    """Compare a step on the same rows: trained weights at the start, loss and gradients; return the own model."""
    pieces, _ = built(plan, tmp_path)
    stock = peft_over(base, plan)
    own, others = trained(pieces.model), trained(stock)
    assert own.keys() == others.keys()
    assert any("lora_A" in name for name in own)
    for name, weight in others.items():
        torch.testing.assert_close(own[name].data, weight.data.float(), rtol=0, atol=0)
    turn(pieces.model)
    turn(stock)

    batch = pieces.train.batch(range(len(pieces.train.lengths)), 0)
    pieces.model.train()
    stock.train()
    loss = pieces.loss(batch)
    loss.backward()
    logits = stock(pixel_values=batch.inputs["pixel_values"]).logits
    expected = torch.nn.functional.cross_entropy(logits, batch.classes, reduction="sum")
    expected.backward()
    assert_same(
        ("", loss.item(), {name: each.grad for name, each in own.items()}),
        ("", expected.item(), {name: each.grad for name, each in others.items()}),
    )
    return pieces.model


def test_a_vit_with_an_adapter_computes_what_peft_computes(vit: Path, data: Path, tmp_path: Path) -> None:
    base = getattr(transformers, LOADER).from_pretrained(vit, dtype=torch.float32)
    compared(planned(vit, data, "lora"), base, tmp_path)


@pytest.mark.parametrize("method", ["lora", "qlora", "full"])
def test_a_frozen_backbone_leaves_the_head_alone_to_learn(vit: Path, data: Path, method: str, tmp_path: Path) -> None:
    plan = plan_of(vit, data, method=method, options={"freeze_backbone": True}, adapter=AdapterRecipe(rank=4, alpha=8))
    pieces, _ = built(plan, tmp_path)
    names = sorted(trained(pieces.model))
    assert names and all("classifier." in name for name in names)
    pieces.loss(pieces.train.batch([0, 1], 0)).backward()
    assert all(bool(weight.grad.any()) for weight in trained(pieces.model).values() if weight.grad is not None)


@pytest.mark.parametrize(
    ("method", "bits", "double"), [("qlora", 4, False), ("qlora", 4, True), ("lora-8bit", 8, False)]
)
def test_a_vit_over_few_bits_computes_what_peft_over_bitsandbytes_computes(
    vit: Path, data: Path, method: str, bits: int, double: bool, tmp_path: Path
) -> None:
    plan = planned(vit, data, method, quantization=QuantizationRecipe(double=double))
    model = compared(plan, reference(vit, bits, "nf4", double, LOADER, head="classifier"), tmp_path)
    stored = [each for each in model.modules() if isinstance(each, FourBit if bits == 4 else EightBit)]
    assert len(stored) == 12  # Six linear layers in each of two; neither the patches nor the head.


def test_a_network_of_convolutions_is_laid_out_to_be_quick(data: Path, tmp_path: Path) -> None:
    folder, shown = tmp_path / "mobilenet", []
    transformers.MobileNetV2Model(transformers.MobileNetV2Config(depth_multiplier=0.35)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 32, "width": 32}}))
    pieces, _ = built(plan_of(folder, data, method="full"), tmp_path)
    wide = [
        layer for layer in pieces.model.modules() if isinstance(layer, torch.nn.Conv2d) and layer.kernel_size[0] > 1
    ]
    assert {layer.padding for layer in wide if layer.stride == (1, 1)} == {(1, 1)}
    hook = pieces.model.register_forward_pre_hook(
        lambda module, given, named: shown.append(named["pixel_values"]), with_kwargs=True
    )
    pieces.loss(pieces.train.batch([0, 1], 0))
    hook.remove()
    assert [pixels.is_contiguous(memory_format=torch.channels_last) for pixels in shown] == [True]
