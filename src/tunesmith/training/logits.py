"""The loss at labelled positions, in chunks: no (tokens x vocabulary) tensor ever exists.

The gradient with respect to the hidden states is computed on the way forward, chunk by chunk, because it needs the same
logits; memory stays at one chunk whatever the vocabulary (the idea of Apple's cut cross-entropy,
https://arxiv.org/abs/2411.09009, in plain tensor operations).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_NUMBERS = 2**23
"""Logits held at once: 32 MiB in 32 bits."""

ROUND = 32
"""Chunks are filled up to a multiple of this many rows, so that shapes repeat (see ``joining.ROUND``)."""


def summed_loss(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Sum the cross entropy, in nats, of ``hidden`` (labels, size) under ``head`` (vocabulary, size); a 32-bit scalar.

    ``targets`` is (labels,) int64. Divide by the number of labels of the whole step, not of this call.
    """
    result: Tensor = _SummedLoss.apply(hidden, head, targets)  # type: ignore[no-untyped-call]
    return result


class _SummedLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        wants_hidden, wants_head = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        grad_hidden = torch.empty_like(hidden) if wants_hidden else None
        grad_head = torch.zeros_like(head, dtype=torch.float32) if wants_head else None
        count = hidden.shape[0]
        rows = max(ROUND, CHUNK_NUMBERS // head.shape[0] // ROUND * ROUND)
        for begin in range(0, count, rows):
            wanted = targets[begin : begin + rows]
            part = _filled(hidden[begin : begin + rows])
            logits = (part @ head.t())[: len(wanted)].float()
            chosen, highest = logits.gather(1, wanted.unsqueeze(1)), logits.amax(-1, keepdim=True)
            slope = torch.softmax(logits, -1, out=logits)
            # log sum exp = logit - log probability, here at the highest: no second exponential, no second chunk.
            total += (highest - slope.amax(-1, keepdim=True).log() - chosen).sum()
            if grad_hidden is None and grad_head is None:
                continue
            slope[torch.arange(wanted.shape[0], device=wanted.device), wanted] -= 1
            narrow = _filled(slope.to(hidden.dtype))
            if grad_hidden is not None:
                grad_hidden[begin : begin + rows] = (narrow @ head)[: len(wanted)]
            if grad_head is not None:
                grad_head += narrow.t() @ part
        ctx.save_for_backward(grad_hidden, grad_head)
        ctx.dtype = head.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_head = ctx.saved_tensors
        scale = grads[0]
        return (
            None if grad_hidden is None else grad_hidden.mul_(scale),
            None if grad_head is None else grad_head.mul_(scale).to(ctx.dtype),
            None,
        )


def _filled(rows: Tensor) -> Tensor:
    """Add rows of zeros up to a multiple of ``ROUND``."""
    missing = -rows.shape[0] % ROUND
    return torch.nn.functional.pad(rows, (0, 0, 0, missing)) if missing else rows
