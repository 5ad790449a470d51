from __future__ import annotations

import pytest

from tunesmith.modalities.text.families import FAMILIES, family_for

LLAMA = ("q_proj", "k_proj", "v_proj", "o_proj")


@pytest.mark.parametrize(
    ("model_type", "name", "targets", "max_length", "attention"),
    [
        ("llama", "Llama", LLAMA, 2048, "documents"),
        ("mistral", "Mistral", LLAMA, 4096, "documents"),
        ("qwen2", "Qwen2", None, 2048, "documents"),
        ("qwen3", "Qwen3", None, 2048, "documents"),
        ("gpt2", "GPT-2", ("c_attn", "c_proj"), 2048, "stock"),
        ("mamba", "any other", None, 2048, "stock"),
    ],
)
def test_a_family_by_model_type(model_type, name, targets, max_length, attention):
    family = family_for(model_type)
    assert (family.name, family.targets, family.max_length, family.attention) == (name, targets, max_length, attention)


def test_a_fused_family_has_the_joined_row_path():
    assert all(family.attention == "documents" for family in FAMILIES if family.fused)
