"""ADD A MODEL FAMILY HERE: one row of facts, and one row in its test.

Targets are the lists that the families' own documents print; a family without one gets an adapter on every linear
layer. ``attention`` and ``fused`` may leave "stock" and False only with an equality test of that family.
"""

from __future__ import annotations

from typing import Final

from tunesmith.modalities.base import Family, family_of

FAMILIES: Final = (
    Family(
        name="Llama",
        model_types=("llama",),
        targets=("q_proj", "k_proj", "v_proj", "o_proj"),
        max_length=2048,
        attention="documents",
        fused=True,
    ),
    Family(
        name="Mistral",
        model_types=("mistral",),
        targets=("q_proj", "k_proj", "v_proj", "o_proj"),
        max_length=4096,
        attention="documents",
        fused=True,
    ),
    Family(
        name="Qwen2",
        model_types=("qwen2",),
        targets=None,
        max_length=2048,
        attention="documents",
        fused=False,
    ),
    Family(
        name="Qwen3",
        model_types=("qwen3",),
        targets=None,
        max_length=2048,
        attention="documents",
        fused=False,
    ),
    Family(
        name="GPT-2",
        model_types=("gpt2",),
        targets=("c_attn", "c_proj"),
        max_length=2048,
        attention="stock",
        fused=False,
    ),
    Family(
        name="any other",
        model_types=(),
        targets=None,
        max_length=2048,
        attention="stock",
        fused=False,
    ),
)
"""Every family; the last row stands for the models that no other row names."""


def family_for(model_type: str) -> Family:
    """Return the family of a ``model_type``."""
    return family_of(model_type, FAMILIES)
