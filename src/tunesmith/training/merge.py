"""Merging an adapter into the model under it, and measuring how far two models are apart."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Difference:
    """How far the answers of one model are from those of another, over the tokens of a probe."""

    largest: float
    """Largest difference of two logits."""
    relative: float
    """The same, as a share of the largest logit."""
    divergence: float
    """Mean Kullback-Leibler divergence of the next token's distributions, in nats."""


def with_adapter(model: Any, adapter: Path) -> Any:
    """Put a saved adapter onto its base; returns PEFT's wrapper, ready to answer."""
    from peft import PeftModel

    return PeftModel.from_pretrained(model, str(adapter)).eval()


def merged(adapted: Any) -> Any:
    """Work the adapter of PEFT's wrapper into the weights under it; returns the model inside, without PEFT.

    Each sum is made in 32 bits and rounded once to the weights' own number format.
    """
    from peft.tuners.lora import LoraLayer

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT wonders that the last step finds every layer merged.
        for module in adapted.modules():
            if isinstance(module, LoraLayer):
                _merge_layer(module)
        return adapted.merge_and_unload().eval()


def _merge_layer(layer: Any) -> None:
    base = layer.get_base_layer()
    dtype = base.weight.dtype
    base.weight.data = base.weight.data.float()
    layer.merge(safe_merge=True)
    base.weight.data = base.weight.data.to(dtype)


def logits(model: nn.Module, probes: list[Tensor]) -> list[Tensor]:
    """Return what the model says to each row of token ids, (tokens, vocabulary) or (1, classes), in 32 bits."""
    with torch.no_grad():
        return [model(input_ids=ids.unsqueeze(0)).logits[0].float().view(-1, _width(model)) for ids in probes]


def _width(model: Any) -> int:
    head = model.get_output_embeddings()
    return int(model.config.num_labels if head is None else head.weight.shape[0])


def difference(one: list[Tensor], other: list[Tensor]) -> Difference:
    """Compare the logits of two models over the same probes."""
    first, second = torch.cat(one), torch.cat(other)
    largest = float((first - second).abs().max())
    likely, found = first.log_softmax(-1), second.log_softmax(-1)
    divergence = float((likely.exp() * (likely - found)).sum(-1).mean())
    return Difference(largest, largest / max(float(first.abs().max()), 1e-9), divergence)
