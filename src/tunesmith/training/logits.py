"""The loss at labelled positions, in chunks: no (tokens x vocabulary) tensor ever exists.

The gradient with respect to the hidden states is computed on the way forward, chunk by chunk, because it needs the same
logits; memory stays at one chunk whatever the vocabulary (the idea of Apple's cut cross-entropy,
https://arxiv.org/abs/2411.09009, in plain tensor operations).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

CHUNK_NUMBERS = 2**23
"""Logits held at once: 32 MiB in 32 bits."""

ROUND = 32
"""Chunks are filled up to a multiple of this many rows, so that shapes repeat (see ``joining.ROUND``)."""


def summed_loss(hidden: Tensor, head: Tensor, targets: Tensor, bias: Tensor | None = None) -> Tensor:
    """Sum the cross entropy, in nats, of ``hidden`` (labels, size) under ``head`` (vocabulary, size); a 32-bit scalar.

    ``targets`` is (labels,) int64, ``bias`` (vocabulary,). Divide by the number of labels of the whole step, not of
    this call.
    """
    result: Tensor = _SummedLoss.apply(hidden, head, targets, bias)  # type: ignore[no-untyped-call]
    return result


def label_losses(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Return the cross entropy of each label alone, (labels,) in 32 bits, which may be weighted as one likes.

    The weights are known only on the way back; where the head is trained its gradient needs the logits again.
    """
    result: Tensor = _LabelLosses.apply(hidden, head, targets)  # type: ignore[no-untyped-call]
    return result


def label_scores(hidden: Tensor, head: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cross entropy of each label, (labels,) in 32 bits, and whether the label is the likeliest token.

    For measuring alone: nothing is kept for a way back.
    """
    losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
    right = torch.empty(len(targets), dtype=torch.bool, device=hidden.device)
    for begin, wanted, part in _chunks(hidden, head, targets):
        logits = torch.nn.functional.linear(part, head)[: len(wanted)]
        losses[begin : begin + len(wanted)], right[begin : begin + len(wanted)] = scores_of(logits, wanted)
    return losses, right


def scores_of(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cross entropy of each target under (targets, vocabulary) logits, and whether it is the likeliest."""
    losses = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
    return losses, logits.argmax(-1) == targets


class _SummedLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, bias: Tensor | None) -> Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        wants_hidden, wants_head = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        grad_hidden = torch.empty_like(hidden) if wants_hidden else None
        grad_head = torch.zeros_like(head, dtype=torch.float32) if wants_head else None
        grad_bias = None
        if bias is not None and ctx.needs_input_grad[3]:
            grad_bias = torch.zeros_like(bias, dtype=torch.float32)
        for begin, wanted, part in _chunks(hidden, head, targets):
            losses, slope = _losses(part, head, wanted, bias)
            total += losses.sum()
            if grad_bias is not None:
                grad_bias += slope.sum(0)
            if grad_hidden is None and grad_head is None:
                continue
            narrow = _filled(slope.to(hidden.dtype))
            if grad_hidden is not None:
                grad_hidden[begin : begin + len(wanted)] = (narrow @ head)[: len(wanted)]
            if grad_head is not None:
                grad_head += narrow.t() @ part
        ctx.save_for_backward(grad_hidden, grad_head, grad_bias)
        ctx.dtype = head.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_head, grad_bias = ctx.saved_tensors
        scale = grads[0]
        return (
            None if grad_hidden is None else grad_hidden.mul_(scale),
            None if grad_head is None else grad_head.mul_(scale).to(ctx.dtype),
            None,
            None if grad_bias is None else grad_bias.mul_(scale).to(ctx.dtype),
        )


class _LabelLosses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        result = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        grad_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for begin, wanted, part in _chunks(hidden, head, targets):
            losses, slope = _losses(part, head, wanted, None)
            result[begin : begin + len(wanted)] = losses
            if grad_hidden is not None:
                grad_hidden[begin : begin + len(wanted)] = (_filled(slope.to(hidden.dtype)) @ head)[: len(wanted)]
        ctx.wants_head = ctx.needs_input_grad[1]
        ctx.save_for_backward(grad_hidden, *((hidden, head, targets) if ctx.wants_head else ()))
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, *kept = ctx.saved_tensors
        weights, grad_head = grads[0].unsqueeze(1), None
        if ctx.wants_head:
            hidden, head, targets = kept
            grad_head = _weighted_head(hidden, head, targets, weights)
        return None if grad_hidden is None else grad_hidden.mul_(weights), grad_head, None


def _weighted_head(hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the gradient of the head, each label counted by its weight of (labels, 1)."""
    grad_head = torch.zeros_like(head, dtype=torch.float32)
    for begin, wanted, part in _chunks(hidden, head, targets):
        slope = _losses(part, head, wanted, None)[1].mul_(weights[begin : begin + len(wanted)])
        grad_head += _filled(slope.to(hidden.dtype)).t() @ part
    return grad_head.to(head.dtype)


def _chunks(hidden: Tensor, head: Tensor, targets: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield the place of each chunk's first label, its targets, and its hidden states, filled up."""
    rows = max(ROUND, CHUNK_NUMBERS // head.shape[0] // ROUND * ROUND)
    for begin in range(0, hidden.shape[0], rows):
        yield begin, targets[begin : begin + rows], _filled(hidden[begin : begin + rows])


def _losses(part: Tensor, head: Tensor, wanted: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the loss of each label of a chunk, (labels,), and the slope of its logits, (labels, vocabulary)."""
    logits = torch.nn.functional.linear(part, head, bias)[: len(wanted)].float()
    chosen, highest = logits.gather(1, wanted.unsqueeze(1)), logits.amax(-1, keepdim=True)
    slope = torch.softmax(logits, -1, out=logits)
    # log sum exp = logit - log probability, here at the highest: no second exponential, no second chunk.
    losses = highest - slope.amax(-1, keepdim=True).log() - chosen
    slope[torch.arange(len(wanted), device=wanted.device), wanted] -= 1
    return losses.squeeze(1), slope


def _filled(rows: Tensor) -> Tensor:
    """Add rows of zeros up to a multiple of ``ROUND``."""
    missing = -rows.shape[0] % ROUND
    return torch.nn.functional.pad(rows, (0, 0, 0, missing)) if missing else rows
