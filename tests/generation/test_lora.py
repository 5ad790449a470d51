"""What an adapter's files say is read without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tunesmith.generation.lora import per_row, read_facts
from tunesmith.spec.errors import AdapterNotPerRow, ModelNotFound, UnreadableFile


def test_strengths_are_those_of_peft(tiny_model, make_adapter):
    folder = make_adapter(
        tiny_model, "a", r=4, lora_alpha=6, use_rslora=True, rank_pattern={"q_proj": 16}, alpha_pattern={"v_proj": 3},
        target_modules=["q_proj", "k_proj", "v_proj"],
    )  # fmt: skip
    facts = read_facts(folder)
    assert facts.rank == 16
    layer = "model.layers.0.self_attn."
    assert [facts.scaling[f"{layer}{name}_proj"] for name in "qkv"] == [6 / 4, 6 / 2, 3 / 2]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "whole modules"),
        ({"bias": "lora_only"}, "biases"),
        ({"target_modules": ["embed_tokens"]}, "embeddings"),
        ({"target_modules": ["lm_head"]}, "output head"),
        ({"init_lora_weights": "pissa"}, "own weights"),
        ({}, None),
    ],
)
def test_an_adapter_says_whether_it_can_share_a_batch(tiny_model, make_adapter, settings, why):
    folder = make_adapter(tiny_model, "a", **settings)
    found = per_row(folder)
    assert (found is None) if why is None else (found is not None and why in found)
    if why is not None:
        with pytest.raises(AdapterNotPerRow, match=why):
            read_facts(folder)


def test_a_folder_without_an_adapter_and_a_damaged_one_are_one_sentence_each(tiny_model, make_adapter, tmp_path):
    with pytest.raises(ModelNotFound):
        per_row(tmp_path)
    folder = make_adapter(tiny_model, "a")
    (folder / "adapter_model.safetensors").write_bytes(b"short")
    with pytest.raises(UnreadableFile, match=r"adapter_model\.safetensors"):
        per_row(folder)


def test_reading_an_adapter_does_not_load_torch():
    code = "import sys, tunesmith.generation.lora; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
