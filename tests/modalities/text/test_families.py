"""Every family: its facts, and a tiny model of it that is planned for and trained for a few steps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tiny import MASKED, make_tiny_model
from training.parts import CPU, token_rows
from tunesmith.modalities import text
from tunesmith.modalities.family_templates import FAMILY_TEMPLATES
from tunesmith.modalities.text.families import FAMILIES, family_for
from tunesmith.planning.facts import model_facts
from tunesmith.training.adapters import add_adapter
from tunesmith.training.forward import build_forward, loss_of
from tunesmith.training.joining import TokenBatches
from tunesmith.training.loading import load_model

LLAMA = ("q_proj", "k_proj", "v_proj", "o_proj")
SEVEN = ("q_proj", "v_proj", "k_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ROWS = [
    ("llama", "Llama", LLAMA, 2048, "documents"),
    ("llama4", "Llama 4", SEVEN, 4096, "stock"),
    ("llama4_text", "Llama 4", SEVEN, 4096, "stock"),
    ("mistral", "Mistral", LLAMA, 4096, "documents"),
    ("gemma", "Gemma", ("q_proj", "v_proj"), 4096, "documents"),
    ("gemma2", "Gemma 2", ("q_proj", "v_proj"), 4096, "stock"),
    ("gemma3", "Gemma 3", SEVEN, 8192, "documents"),
    ("gemma3_text", "Gemma 3", SEVEN, 8192, "documents"),
    ("gemma3n", "Gemma 3n", SEVEN, 4096, "stock"),
    ("gemma3n_text", "Gemma 3n", SEVEN, 4096, "stock"),
    ("qwen", "Qwen", ("c_attn", "c_proj", "w1", "w2"), 2048, "stock"),
    ("qwen2", "Qwen 2", None, 2048, "documents"),
    ("qwen2_moe", "Qwen 2", None, 2048, "documents"),
    ("qwen3", "Qwen 3", None, 2048, "documents"),
    ("qwen3_moe", "Qwen 3", None, 2048, "documents"),
    ("phi", "Phi", ("q_proj", "v_proj", "fc1", "fc2"), 2048, "stock"),
    ("phi3", "Phi 3", None, 2048, "documents"),
    ("gpt2", "GPT-2", ("c_attn", "c_proj"), 2048, "stock"),
    ("gptj", "GPT-J", ("q_proj", "v_proj"), 2048, "stock"),
    ("gpt_neox", "GPT-NeoX", ("query_key_value",), 2048, "documents"),
    ("falcon", "Falcon", ("query_key_value",), 2048, "stock"),
    ("bloom", "BLOOM", ("query_key_value",), 2048, "stock"),
    ("mpt", "MPT", ("Wqkv",), 2048, "stock"),
    ("opt", "OPT", ("q_proj", "v_proj"), 2048, "stock"),
    ("t5", "T5", ("q", "v"), 512, "stock"),
    ("bert", "BERT", ("query", "value"), 512, "stock"),
    ("roberta", "BERT", ("query", "value"), 512, "stock"),
    ("electra", "BERT", ("query", "value"), 512, "stock"),
    ("distilbert", "DistilBERT", None, 512, "stock"),
    ("mamba", "any other", None, 2048, "stock"),
]
COMPOSED = ("llama4", "gemma3n")
"""Models of several parts, whose language model is a model type of its own (Gemma 3 stands for them)."""
BUILT = [row[0] for row in ROWS if not family_for(row[0]).refusal and row[0] not in (*COMPOSED, "mamba")]
TRAINED = [kind for kind in BUILT if kind not in MASKED]


@pytest.mark.parametrize(("model_type", "name", "targets", "max_length", "attention"), ROWS)
def test_a_family_by_model_type(model_type, name, targets, max_length, attention):
    family = family_for(model_type)
    assert (family.name, family.targets, family.max_length, family.attention) == (name, targets, max_length, attention)


def test_every_family_has_a_row_here():
    assert {row[1] for row in ROWS} == {family.name for family in FAMILIES}


def test_a_fused_family_has_the_joined_row_path():
    assert all(family.attention == "documents" for family in FAMILIES if family.fused)


def test_the_families_that_overflow_in_fp16_are_those_without_flash_attention():
    assert {family.name for family in FAMILIES if not family.fp16} >= {"Llama 4", "Gemma 3", "Gemma 3n"}
    assert {family.name for family in FAMILIES if not family.flash} >= {"Llama 4", "Gemma 3", "Gemma 3n"}
    assert [family.name for family in FAMILIES if not family.four_bit] == ["Gemma 3n"]


def test_a_family_lists_templates_that_there_are():
    assert {name for family in FAMILIES for name in family.templates} == set(FAMILY_TEMPLATES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    def made(kind: str) -> Path:
        path: Path = tmp_path_factory.getbasetemp() / f"family-{kind}"
        return path if path.exists() else make_tiny_model(path, architecture=kind)

    return made


@pytest.mark.parametrize("kind", BUILT)
def test_facts_are_read_from_a_model_of_each_family(kind, folder):
    facts = model_facts(folder(kind), kind)
    model = load(folder(kind), kind)
    assert facts.parameters == pytest.approx(sum(weight.numel() for weight in model.parameters()), rel=0.05)
    assert (facts.hidden, facts.heads) == (32, 4)
    assert facts.layers == (4 if kind == "gemma3n_text" else 2)
    assert facts.kind == ("encoder" if kind in MASKED else "decoder")
    assert facts.kv_heads == {"falcon": 1}.get(
        kind, getattr(model.config.get_text_config(), "num_key_value_heads", None) or 4
    )
    assert facts.max_length == {"bloom": 2048}.get(kind, 512)
    assert set(family_for(kind).targets or ()) <= set(facts.linear_layers)


@pytest.mark.parametrize("kind", BUILT)
def test_an_adapter_is_counted_as_peft_counts_it(kind, folder):
    facts = model_facts(folder(kind), kind)
    targets = family_for(kind).targets or facts.linear_layers
    model = adapted(load(folder(kind), kind), targets)
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert 4 * sum(facts.linear_widths[target] for target in targets) == trained


@pytest.mark.parametrize("kind", TRAINED)
def test_a_few_steps_lower_the_loss_which_begins_as_the_models_own(kind, folder):
    model = adapted(load(folder(kind), kind), family_for(kind).targets or model_facts(folder(kind), kind).linear_layers)
    forward = build_forward(
        model, attention=family_for(kind).attention, fused=family_for(kind).fused, joined=True, checkpointing=False,
        length=64,
    )  # fmt: skip
    rows = token_rows(8, longest=24)
    own = own_loss(load(folder(kind), kind), rows)
    batch = TokenBatches(rows, CPU, joined=forward.joined, fill=0).batch(range(len(rows)))
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=0.005)
    losses = []
    for _ in range(6):
        loss = loss_of(forward, model.eval(), batch)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[0] == pytest.approx(own, rel=1e-4)
    assert losses[-1] < losses[0] - 0.02


def test_each_decoder_family_has_a_task(folder):
    kinds = {kind for task in text.MODALITY.tasks for kind in task.models}
    assert "decoder" in kinds


def load(path: Path, kind: str) -> torch.nn.Module:
    if kind not in MASKED:
        model: torch.nn.Module = load_model(path, "fp32")
        return model
    from transformers import AutoModelForMaskedLM

    encoder: torch.nn.Module = AutoModelForMaskedLM.from_pretrained(path)
    return encoder


def adapted(model: torch.nn.Module, targets: tuple[str, ...] | list[str]) -> torch.nn.Module:
    task = "FEATURE_EXTRACTION" if model.config.model_type in MASKED else "CAUSAL_LM"
    wrapped: torch.nn.Module = add_adapter(model, rank=4, alpha=8, dropout=0.0, targets=targets, seed=0, task=task)
    return wrapped


def own_loss(model: torch.nn.Module, rows) -> float:
    """What the model itself says about padded rows, from all its logits."""
    model.eval()
    batch = TokenBatches(rows, CPU, joined=False, fill=0).batch(range(len(rows)))
    with torch.no_grad():
        logits = model(input_ids=batch.ids, attention_mask=batch.attention, use_cache=False).logits.flatten(0, 1)
    return torch.nn.functional.cross_entropy(logits[batch.places], batch.targets, reduction="sum").item()
