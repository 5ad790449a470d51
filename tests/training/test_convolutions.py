"""Networks of convolutions compute the same when they are made quicker."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from transformers import (
    EfficientNetConfig,
    EfficientNetModel,
    MobileNetV2Config,
    MobileNetV2Model,
    ResNetConfig,
    ResNetModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
)

from tunesmith.training.convolutions import hear_side_by_side, layout_of, pad_inside


@pytest.mark.parametrize("size", [64, 65])
@pytest.mark.parametrize("stride", [8, 32])
def test_padding_inside_changes_neither_outputs_nor_gradients(size: int, stride: int) -> None:
    torch.manual_seed(0)
    plain = MobileNetV2Model(MobileNetV2Config(depth_multiplier=0.35, output_stride=stride)).train()
    quick = copy.deepcopy(plain)
    pad_inside(quick)
    padded = [part for part in quick.modules() if isinstance(part, nn.Conv2d) and max(part.padding) > 0]  # type: ignore[type-var]
    assert len(padded) > 10
    assert plain.config.tf_padding
    assert quick.config.tf_padding
    seen = torch.randn(2, 3, size, size)
    found, expected = (model(seen).pooler_output for model in (quick, plain))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
    for output in (found, expected):
        output.square().sum().backward()
    for one, other in zip(quick.parameters(), plain.parameters(), strict=True):
        assert other.grad is not None
        assert other.grad.abs().sum() > 0
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-5)


def test_padding_inside_leaves_a_model_alone_that_pads_by_itself() -> None:
    model = MobileNetV2Model(MobileNetV2Config(depth_multiplier=0.35, tf_padding=False))
    before = [part.padding for part in model.modules() if isinstance(part, nn.Conv2d)]
    pad_inside(model)
    assert [part.padding for part in model.modules() if isinstance(part, nn.Conv2d)] == before


def test_pictures_lie_channels_last_but_for_wide_convolutions_of_single_channels() -> None:
    small = {"hidden_sizes": [8, 8], "depths": [1, 1], "embedding_size": 8}
    assert layout_of(ResNetModel(ResNetConfig(**small))) is torch.channels_last
    assert layout_of(MobileNetV2Model(MobileNetV2Config(depth_multiplier=0.35))) is torch.channels_last
    wide = EfficientNetModel(EfficientNetConfig(width_coefficient=0.25, depth_coefficient=0.25, hidden_dim=320))
    assert layout_of(wide) is torch.contiguous_format


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("norm", ["layer", "group"])
@pytest.mark.parametrize("bias", [True, False])
def test_hearing_side_by_side_changes_only_rounding(dtype: torch.dtype, norm: str, bias: bool) -> None:
    torch.manual_seed(0)
    sizes = {"conv_dim": (16, 16, 16), "conv_kernel": (10, 3, 2), "conv_stride": (5, 2, 2), "hidden_size": 16}
    config = Wav2Vec2Config(
        **sizes, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, feat_extract_norm=norm,
        conv_bias=bias, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    plain = Wav2Vec2Model(config).to(dtype).eval()
    quick = copy.deepcopy(plain)
    hear_side_by_side(quick)
    changed = [layer for layer in quick.modules() if "forward" in vars(layer)]
    assert len(changed) == (3 if norm == "layer" else 2 if dtype is torch.bfloat16 else 0)
    heard = torch.randn(3, 4_000, dtype=dtype)
    found, expected = (model(heard).last_hidden_state for model in (quick, plain))
    probe = torch.randn(found.shape)
    near = {"rtol": 1e-5, "atol": 1e-5} if dtype is torch.float32 else {"rtol": 0.05, "atol": 0.05}
    torch.testing.assert_close(found, expected, **near)
    for output in (found, expected):
        (output.float() * probe).sum().backward()
    for (name, one), other in zip(quick.named_parameters(), plain.parameters(), strict=True):
        if name == "masked_spec_embed":
            continue
        assert one.grad is not None, name
        assert other.grad is not None
        away = (one.grad - other.grad).norm() / other.grad.norm().clamp(min=1e-3)
        assert away <= (1e-4 if dtype is torch.float32 else 0.1), name
