"""Attention over whole rows in bf16 on a CPU, with a backward pass of plain matrix products.

PyTorch's fused attention goes forward quickly there and takes up to four times as long as the products on its way back
(197 tokens, 3 heads: 21 ms against 6). What the products need is computed again, so that nothing more is kept.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

ATTENTION: Final = "tunesmith_bf16"
"""Name under which transformers knows it."""
AT_ONCE: Final = 1 << 23
"""Weights (queries x keys) that are there at once, at most, unless a single head has more."""


def speed_up_attention(model: Any) -> None:
    """Let a model that computes in bf16 on a CPU go back by products wherever it attends to whole rows."""
    some = next(model.parameters())
    computes = any(each.dtype is torch.bfloat16 for each in model.parameters())
    if some.device.type != "cpu" or not computes or not getattr(model, "_supports_attention_backend", False):
        return
    _register()
    parts = (getattr(model.config, name, None) for name in getattr(model.config, "sub_configs", ()))
    for config in (model.config, *parts):
        if getattr(config, "_attn_implementation", None) == "sdpa":
            config._attn_implementation = ATTENTION


def _register() -> None:
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION, sdpa_mask)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it: (rows, heads, tokens, size) in, (rows, tokens, heads, size) out."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    beyond = kwargs.get("position_bias") is not None or key.shape[1] != query.shape[1] or value.shape != key.shape
    if causal or dropout or beyond or attention_mask is not None or query.dtype is not torch.bfloat16:
        plain: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=is_causal, **kwargs
        )
        return plain
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    seen: Tensor = BackByProducts.apply(query, key, value, scale)  # type: ignore[no-untyped-call]
    return seen.transpose(1, 2).contiguous(), None


class BackByProducts(torch.autograd.Function):
    """Attention of every query to every key: (rows, heads, queries or keys, size) in, as the queries are out."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Attend, and keep what was given."""
        ctx.save_for_backward(query, key, value)
        ctx.scale = scale
        return functional.scaled_dot_product_attention(query, key, value, scale=scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Compute the weights again, some heads at a time, and the three gradients from them."""
        given = ctx.saved_tensors
        query, key, value = (tensor.flatten(0, 1) for tensor in given)
        query, gradient = query * ctx.scale, gradient.flatten(0, 1)
        found = [torch.empty(tensor.shape, dtype=tensor.dtype) for tensor in (query, key, value)]
        count = max(1, AT_ONCE // (query.shape[1] * key.shape[1]))
        for first in range(0, len(query), count):
            some = slice(first, first + count)
            weights = torch.bmm(query[some], key[some].mT).softmax(-1)
            back = torch.bmm(gradient[some], value[some].mT)
            back = torch._softmax_backward_data(back, weights, -1, weights.dtype)
            torch.bmm(back, key[some], out=found[0][some])
            torch.bmm(back.mT, query[some], out=found[1][some])
            torch.bmm(weights.mT, gradient[some], out=found[2][some])
        found[0].mul_(ctx.scale)
        of_query, of_key, of_value = (one.view(other.shape) for one, other in zip(found, given, strict=True))
        return of_query, of_key, of_value, None
