from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tunesmith.training.lora_names import kohya_of, lora_of, write_lora

BLOCK = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0"
WEIGHTS = {
    f"unet.base_model.model.{BLOCK}.lora_A.default.weight": torch.ones(4, 8),
    f"unet.base_model.model.{BLOCK}.lora_B.default.weight": torch.ones(8, 4),
    "encoders.0.base_model.model.encoder.layers.0.self_attn.q_proj.lora_A.default.weight": torch.ones(2, 8),
    "encoders.0.base_model.model.encoder.layers.0.self_attn.q_proj.lora_B.default.weight": torch.ones(8, 2),
}
LAYER = "text_model.encoder.layers.0.self_attn.q_proj"


def test_the_scale_is_multiplied_into_the_second_factor() -> None:
    lora = lora_of(WEIGHTS, 2.0)
    assert float(lora[f"unet.{BLOCK}.lora_A.weight"].max()) == 1
    assert float(lora[f"unet.{BLOCK}.lora_B.weight"].min()) == 2


def test_text_encoders_are_named_as_pipelines_on_disk_name_them() -> None:
    assert f"text_encoder.{LAYER}.lora_A.weight" in lora_of(WEIGHTS, 1.0)


def test_kohya_names_have_one_dot_and_say_the_rank() -> None:
    named = kohya_of(lora_of(WEIGHTS, 1.0), None)
    key = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0"
    assert {name.partition(".")[2] for name in named if name.startswith(key)} == {
        "lora_down.weight", "lora_up.weight", "alpha",
    }  # fmt: skip
    assert float(named[f"{key}.alpha"]) == 4
    assert float(named[f"lora_te_{LAYER.replace('.', '_')}.alpha"]) == 2


@pytest.mark.parametrize(
    ("module", "original"),
    [
        ("down_blocks.1.attentions.0.proj_in", "input_blocks_4_1_proj_in"),
        ("down_blocks.2.attentions.1.proj_in", "input_blocks_8_1_proj_in"),
        ("mid_block.attentions.0.proj_in", "middle_block_1_proj_in"),
        ("up_blocks.0.attentions.2.proj_in", "output_blocks_2_1_proj_in"),
        ("up_blocks.1.attentions.0.proj_in", "output_blocks_3_1_proj_in"),
    ],
)
def test_blocks_of_sdxl_are_numbered_as_its_authors_did(module: str, original: str) -> None:
    named = kohya_of({f"unet.{module}.lora_A.weight": torch.ones(4, 8)}, 2)
    assert f"lora_unet_{original}.lora_down.weight" in named


def test_text_encoders_of_sdxl_are_numbered() -> None:
    lora = {f"{owner}.{LAYER}.lora_A.weight": torch.ones(2, 8) for owner in ("text_encoder", "text_encoder_2")}
    assert {name[:8] for name in kohya_of(lora, 2)} == {"lora_te1", "lora_te2"}


def test_sizes_of_dora_keep_their_values() -> None:
    weights = {f"unet.base_model.model.{BLOCK}.lora_magnitude_vector.default.weight": torch.ones(8)}
    named = kohya_of(lora_of(weights, 2.0), None)
    assert [name.partition(".")[2] for name in named] == ["dora_scale"]
    assert float(next(iter(named.values())).max()) == 1


def test_both_files_hold_the_same_weights(tmp_path: Path) -> None:
    write_lora(tmp_path, lora_of(WEIGHTS, 2.0), None)
    ours, theirs = (
        load_file(tmp_path / name) for name in ("pytorch_lora_weights.safetensors", "kohya_lora.safetensors")
    )
    assert sum(float(each.sum()) for each in ours.values()) == sum(
        float(each.sum()) for name, each in theirs.items() if not name.endswith(".alpha")
    )
