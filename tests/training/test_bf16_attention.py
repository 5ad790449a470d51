from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from tunesmith.training import bf16_attention as module
from tunesmith.training.bf16_attention import ATTENTION, BackByProducts, speed_up_attention


def off(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.detach().double() - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("at_once", [1, 2_000, module.AT_ONCE])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-12), (torch.bfloat16, 1e-2)])
def test_gradients_are_those_of_attention(
    dtype: torch.dtype, most: float, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    torch.manual_seed(0)
    sizes = ((2, 3, 19, 8), (2, 3, 23, 8), (2, 3, 23, 8))
    given = [torch.randn(size, dtype=dtype).transpose(1, 2).contiguous().transpose(1, 2) for size in sizes]
    given = [tensor.requires_grad_() for tensor in given]
    exact = [tensor.detach().double().requires_grad_() for tensor in given]
    wanted = functional.scaled_dot_product_attention(*exact, scale=0.3)
    found = BackByProducts.apply(*given, 0.3)
    into = torch.randn_like(wanted)
    assert off(found, wanted) < most
    pairs = zip(
        torch.autograd.grad(found, given, into.to(dtype)), torch.autograd.grad(wanted, exact, into), strict=True
    )
    assert all(off(one, other) < most for one, other in pairs)


def vit(**changes: Any) -> Any:
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    return ViTForImageClassification(ViTConfig(image_size=32, patch_size=8, **sizes, **changes))


def test_a_model_learns_what_it_would_and_its_files_do_not_tell(tmp_path: Path) -> None:
    pixels, gradients = torch.randn(3, 3, 32, 32), []
    for quick in (False, True):
        model = vit().to(torch.bfloat16).train()
        if quick:
            speed_up_attention(model)
            assert model.config._attn_implementation == ATTENTION
        functional.cross_entropy(
            model(pixel_values=pixels.bfloat16()).logits.float(), torch.tensor([0, 1, 0])
        ).backward()
        gradients.append(torch.cat([each.grad.flatten() for each in model.parameters()]).double())
    assert off(gradients[1], gradients[0]) < 2e-2
    model.save_pretrained(tmp_path)
    assert "tunesmith" not in (tmp_path / "config.json").read_text()


def test_in_32_bits_a_model_stays_as_it_is() -> None:
    model = vit()
    speed_up_attention(model)
    assert model.config._attn_implementation == "sdpa"


def test_the_towers_of_a_model_have_it_too() -> None:
    from transformers import CLIPConfig, CLIPModel

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**sizes, "image_size": 32, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config={**sizes, "vocab_size": 50}, vision_config=vision)).to(torch.bfloat16)
    speed_up_attention(model)
    assert model.vision_model.config._attn_implementation == ATTENTION
