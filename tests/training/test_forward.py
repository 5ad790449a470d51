"""Fast paths against the model's own: equal losses and equal gradients, family by family."""

import pytest
import torch

from tiny import make_tiny_model
from training.parts import CPU, load_tiny, token_rows
from tunesmith.modalities.text.families import FAMILIES, family_for
from tunesmith.training.forward import build_forward, loss_of
from tunesmith.training.joining import TokenBatches

FAST = [kind for family in FAMILIES for kind in family.model_types if family.attention == "documents"]


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    made = {}

    def folder(kind, **overrides):
        key = (kind, *sorted(overrides.items()))
        if key not in made:
            made[key] = make_tiny_model(tmp_path_factory.mktemp(kind), architecture=kind, **overrides)
        return made[key]

    return folder


def loss_and_gradients(folder, method, attention, *, fused=True, length=64, checkpointing=False, rows=None):
    model = load_tiny(folder, method=method)
    forward = build_forward(
        model, attention=attention, fused=fused, joined=True, checkpointing=checkpointing, length=length
    )
    model.train()
    rows = rows or token_rows(12)
    batch = TokenBatches(rows, CPU, joined=forward.joined, fill=0).batch(range(len(rows)))
    loss = loss_of(forward, model, batch)
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    return type(forward).__name__, loss.item(), gradients


def assert_same(one, other):
    assert one[1] == pytest.approx(other[1], rel=1e-5)
    for name, gradient in other[2].items():
        torch.testing.assert_close(one[2][name], gradient, rtol=1e-3, atol=1e-5 * float(gradient.abs().max()) + 1e-7)


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("kind", FAST)
def test_joined_rows_give_the_loss_and_gradients_of_padded_ones(kind, method, folders):
    stock = loss_and_gradients(folders(kind), method, "stock")
    assert stock[0] == "Stock"
    joined = loss_and_gradients(folders(kind), method, "documents", fused=False)
    assert joined[0] == "Documents"
    assert_same(joined, stock)
    if family_for(kind).fused:
        fused = loss_and_gradients(folders(kind), method, "documents")
        assert fused[0] == "Fused"
        assert_same(fused, stock)


@pytest.mark.parametrize("fused", [True, False])
def test_recomputing_activations_changes_nothing(fused, folders):
    kept = loss_and_gradients(folders("llama"), "lora", "documents", fused=fused)
    recomputed = loss_and_gradients(folders("llama"), "lora", "documents", fused=fused, checkpointing=True)
    assert_same(recomputed, kept)


def test_biases_and_untied_heads_are_trained_too(folders):
    folder = folders("llama", attention_bias=True, mlp_bias=True, tie_word_embeddings=False)
    stock = loss_and_gradients(folder, "full", "stock")
    assert any(name.endswith("bias") for name in stock[2])
    assert_same(loss_and_gradients(folder, "full", "documents"), stock)


def test_rows_longer_than_the_attention_window_take_the_models_own_path(folders):
    folder = folders("mistral", sliding_window=16)
    assert loss_and_gradients(folder, "lora", "documents", length=64)[0] == "Stock"
    assert loss_and_gradients(folder, "lora", "documents", length=16, rows=token_rows(4, longest=10))[0] != "Stock"


def test_gpt2_takes_the_stock_path(folders):
    assert family_for("gpt2").attention == "stock"
    assert loss_and_gradients(folders("gpt2"), "lora", "stock")[0] == "Stock"


def own_loss(folder, rows):
    """The loss that the model itself computes, row by row, from all its logits."""
    model, total = load_tiny(folder), 0.0
    for index in range(len(rows)):
        ids, mask = rows.row(index)
        tokens = torch.tensor(ids, dtype=torch.long)
        with torch.no_grad():
            logits = model(input_ids=tokens.unsqueeze(0), use_cache=False).logits[0]
        at = torch.tensor(mask.nonzero()[0])
        total += torch.nn.functional.cross_entropy(logits[at - 1], tokens[at], reduction="sum").item()
    return total


@pytest.mark.parametrize(
    ("kind", "overrides", "name"),
    [
        ("llama", {}, "Fused"),
        ("gpt2", {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}, "Stock"),
        ("gemma2", {"final_logit_softcapping": 0.5, "query_pre_attn_scalar": 8}, "Whole"),
        ("phi", {}, "Whole"),
        ("granite", {"logits_scaling": 4.0}, "Whole"),
    ],
)
def test_the_loss_is_the_models_own_whatever_stands_after_its_last_layer(kind, overrides, name, folders):
    folder = folders(kind, **overrides)
    path, loss, gradients = loss_and_gradients(folder, "full", family_for(kind).attention)
    assert path == name
    assert loss == pytest.approx(own_loss(folder, token_rows(12)), rel=1e-5)
    assert all(gradient is not None for gradient in gradients.values())
