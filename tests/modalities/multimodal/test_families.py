"""Every family: its facts, and what a tiny model of it is planned as."""

from __future__ import annotations

from pathlib import Path

import pytest

from picture_models import SPECIAL, make_pair, make_talker
from tunesmith.modalities.base import family_of
from tunesmith.modalities.multimodal import MODALITY
from tunesmith.modalities.multimodal.families import FAMILIES
from tunesmith.planning.draft import facts_of_model

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
SEVEN = ("q_proj", "v_proj", "k_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ROWS = [
    ("clip", "CLIP", "pair", ("q_proj", "v_proj"), False),
    ("siglip", "SigLIP", "pair", ("q_proj", "v_proj"), False),
    ("siglip2", "SigLIP", "pair", ("q_proj", "v_proj"), False),
    ("llava", "LLaVA", "talker", ATTENTION, True),
    ("qwen2_vl", "Qwen2-VL", "talker", SEVEN, True),
    ("qwen2_5_vl", "Qwen2-VL", "talker", SEVEN, True),
    ("smolvlm", "SmolVLM", "talker", SEVEN, True),
    ("idefics3", "SmolVLM", "talker", SEVEN, True),
    ("gemma3", "Gemma 3", "talker", SEVEN, True),
    ("llama4", "Llama 4", "talker", ATTENTION, False),
]


@pytest.mark.parametrize(("model_type", "name", "kind", "targets", "four_bit"), ROWS)
def test_a_family_says_what_is_known_of_it(
    model_type: str, name: str, kind: str, targets: tuple[str, ...], four_bit: bool
) -> None:
    family = family_of(model_type, FAMILIES)
    assert (family.name, family.kind, family.targets, family.four_bit) == (name, kind, targets, four_bit)


@pytest.mark.parametrize("kind", ["clip", "siglip", "siglip2", *SPECIAL])
def test_a_tiny_model_is_planned_with_its_familys_targets(kind: str, tmp_path: Path) -> None:
    folder = make_talker(tmp_path, kind) if kind in SPECIAL else make_pair(tmp_path, kind)
    facts, family = facts_of_model(folder, "tiny", MODALITY)
    assert (facts.kind, facts.modality, facts.model_type) == (family.kind, "multimodal", kind)
    assert family.targets is not None
    assert set(family.targets) <= set(facts.linear_layers)
