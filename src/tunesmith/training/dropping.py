"""Dropout by raw random bits, and attention that drops its weights by them.

On a CPU, drawing a number for every value that might be dropped takes a third of the time of a BERT's step; raw bits
are an order of magnitude cheaper. What is dropped is another draw of the same chances; what is kept is scaled alike.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

ATTENTION: Final = "tunesmith_dropping"
"""Name under which transformers knows the attention that drops weights by raw bits."""
LEVELS: Final = 65536
"""Dropout is decided by 16 random bits for each number."""


class Dropping(nn.Dropout):
    """As ``nn.Dropout``."""

    def forward(self, x: Tensor) -> Tensor:
        """Drop while training."""
        return dropped(x, lost(x, self.p), self.p) if self.training and self.p else x


def speed_up_dropout(model: Any) -> None:
    """Let a model on a CPU drop by raw bits; its numbers stay what they were where it drops nothing."""
    if next(model.parameters()).device.type != "cpu":
        return
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = Dropping
    # Others ask for "sdpa" by name inside their own attention, as Falcon does, and compute something else without it.
    if model.config._attn_implementation == "sdpa" and model._supports_attention_backend:
        register_attention()
        model.config._attn_implementation = ATTENTION


def lost(z: Tensor, dropout: float) -> Tensor:
    """True where a number is to be dropped."""
    words = torch.empty((z.numel() + 3) // 4, dtype=torch.int64, device=z.device).random_(-(2**63), None)
    bits = words.view(torch.int16)[: z.numel()].view(z.shape)
    return bits < round(dropout * LEVELS) - LEVELS // 2


def dropped(z: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """Drop what ``mask`` names, if there is one, and scale the rest, so that the mean stays."""
    return z if mask is None else z.masked_fill(mask, 0).mul_(_scale(dropout))


def _scale(dropout: float) -> float:
    return 1 / (1 - round(dropout * LEVELS) / LEVELS)


def register_attention() -> None:
    """Make the attention known to transformers."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION, _mask)


def _mask(*args: Any, **kwargs: Any) -> Tensor | None:
    """True where a key is seen: (rows, 1, queries, keys). There is one even where the plain attention needs none."""
    from transformers.masking_utils import sdpa_mask

    whole = {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
    mask: Tensor | None = sdpa_mask(*args, **{**kwargs, **whole})
    return mask


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it: (rows, heads, tokens, size) in, (rows, tokens, heads, size) out."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    beyond = kwargs.get("position_bias") is not None or key.shape[1] != query.shape[1]
    if not dropout or beyond or attention_mask is None:
        plain: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return plain
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = (query * scale) @ key.transpose(-1, -2)
    weights = scores.masked_fill_(~attention_mask, float("-inf")).softmax(-1)
    return (weights.masked_fill(lost(weights, dropout), 0) @ (value * _scale(dropout))).transpose(1, 2), None
