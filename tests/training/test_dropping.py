"""Dropout by raw bits: as much as told, evenly, and the same numbers where nothing is dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tiny import make_tiny_encoder
from tunesmith.training.dropping import Dropping, dropped, lost, register_attention, speed_up_dropout
from tunesmith.training.loading import load_classifier

NEXT_TO_NOTHING = 1e-9
"""A dropout that is computed and drops nothing."""


def encoder(folder: Path, dropout: float) -> Any:
    made = make_tiny_encoder(folder, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    return load_classifier(made, "fp32", ["ham", "spam"], seed=1).model


def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    ids, attention = torch.randint(0, 256, (3, 12)), torch.ones(3, 12, dtype=torch.long)
    attention[1, 7:] = 0
    return ids, attention


def logits_and_gradients(model: Any) -> list[Tensor]:
    ids, attention = batch()
    model.zero_grad()
    logits = model(input_ids=ids, attention_mask=attention).logits
    logits.square().sum().backward()
    return [logits.detach(), *(parameter.grad for parameter in model.parameters() if parameter.grad is not None)]


@pytest.mark.parametrize("dropout", [0.05, 0.1, 0.5])
def test_it_drops_as_often_as_told_and_keeps_the_mean(dropout: float) -> None:
    torch.manual_seed(0)
    ones = torch.ones(1000, 1001)
    mask = lost(ones, dropout)
    assert float(mask.float().mean()) == pytest.approx(dropout, abs=0.002)
    assert float(dropped(ones, mask, dropout).mean()) == pytest.approx(1, abs=0.003)
    assert torch.equal(dropped(ones, mask, dropout) == 0, mask)


def test_the_gradient_is_dropped_where_the_value_was() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 8, requires_grad=True)
    y = Dropping(0.25).train()(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad == 0, y == 0)
    assert torch.allclose(x.grad[y != 0], torch.tensor(4 / 3))


def test_the_same_seed_drops_the_same() -> None:
    x = torch.randn(64, 8)
    torch.manual_seed(5)
    first = Dropping(0.25).train()(x)
    torch.manual_seed(5)
    assert torch.equal(Dropping(0.25).train()(x), first)
    assert not torch.equal(Dropping(0.25).train()(x), first)


def test_an_encoder_computes_as_before_where_nothing_is_dropped(tmp_path: Path) -> None:
    """In training too: the attention that drops is the plain one but for what it drops."""
    expected = logits_and_gradients(encoder(tmp_path, 0.0).train())
    model = encoder(tmp_path, NEXT_TO_NOTHING).train()
    speed_up_dropout(model)
    assert {type(part) for part in model.modules() if isinstance(part, nn.Dropout)} == {Dropping}
    for ours, theirs in zip(logits_and_gradients(model), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_without_training_nothing_is_dropped(tmp_path: Path) -> None:
    ids, attention = batch()
    model = encoder(tmp_path, 0.3).eval()
    expected = model(input_ids=ids, attention_mask=attention).logits
    speed_up_dropout(model)
    torch.testing.assert_close(model(input_ids=ids, attention_mask=attention).logits, expected, rtol=1e-5, atol=1e-6)


def test_weights_of_attention_are_dropped(tmp_path: Path) -> None:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    register_attention()
    attend = ALL_ATTENTION_FUNCTIONS["tunesmith_dropping"]
    torch.manual_seed(0)
    query, key = torch.randn(2, 4, 2, 6, 8)
    seen = torch.ones(4, 1, 6, 6, dtype=torch.bool)
    seen[2, ..., 3:] = False
    value = torch.eye(6).expand(4, 2, 6, 6)
    weights = attend(nn.Module(), query, key, value, seen, dropout=0.5, scaling=1.0)[0].transpose(1, 2)
    plain = (query @ key.transpose(-1, -2)).masked_fill(~seen, float("-inf")).softmax(-1)
    assert torch.allclose(weights[weights != 0], 2 * plain[weights != 0], rtol=1e-4)
    assert 0.3 < float((weights[0] == 0).float().mean()) < 0.7
    assert not weights[2, ..., 3:].any(), "padding is never seen"
