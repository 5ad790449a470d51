"""Attention over rows that are joined end to end: no row sees another, and no padding enters the other layers.

A joined sequence is ``[shared prefix][rest of row 0][rest of row 1]...``. The shared prefix (often a system turn that
all rows have in common) is computed once: under a causal mask its hidden states do not depend on what follows, so every
row reads the same keys and values, and its gradient is the sum over the rows.

Only inside attention are rows gathered to rectangles of (documents, longest), because small dense products are what
processors do best; rows of similar length share a rectangle, so that little is wasted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

QUERY_BLOCK = 256
"""Query positions computed at once in long documents; keys after the block are skipped, which halves the work."""

KEEP_LENGTH = 192
"""Documents up to this many keys keep their attention weights for the backward pass; longer ones recompute them."""

BUCKET_FILL = 0.75
"""A rectangle takes rows at least this long relative to its longest."""


ROUND = 8
"""A rectangle is as wide as a multiple of this, so that shapes repeat (see ``joining.ROUND``)."""


@dataclass(frozen=True)
class Bucket:
    """Documents of similar length, gathered to one rectangle."""

    queries: Tensor
    """(documents, longest) int64: place of each query in the joined sequence; short rows repeat their start."""
    inverse: Tensor
    """(tokens of these documents,) int64: place in the flattened rectangle, in the order of ``places``."""
    places: Tensor
    """(tokens of these documents,) int64: place in the joined sequence."""
    padding: Tensor
    """(places in the flattened rectangle that hold no token,) int64: their gradients must be zero."""
    prefix: int
    """Keys before the first query that every query sees."""
    forks: Tensor | None = None
    """(documents, 2) int64: queries from the second place on do not see the keys from the first up to it."""

    @property
    def documents(self) -> int:
        """Number of documents."""
        return self.queries.shape[0]

    @property
    def longest(self) -> int:
        """Queries of the longest document."""
        return self.queries.shape[1]


@dataclass(frozen=True)
class Layout:
    """How a joined sequence divides into documents."""

    tokens: int
    """Length of the joined sequence, shared prefix counted once."""
    buckets: tuple[Bucket, ...]

    def to(self, device: torch.device) -> Layout:
        """Return the same layout with its index tensors on ``device``."""
        moved = [
            Bucket(
                b.queries.to(device),
                b.inverse.to(device),
                b.places.to(device),
                b.padding.to(device),
                b.prefix,
                None if b.forks is None else b.forks.to(device),
            )
            for b in self.buckets
        ]
        return Layout(self.tokens, tuple(moved))


def layout_of(lengths: Sequence[int], *, prefix: int = 0, forks: Sequence[tuple[int, int]] = ()) -> Layout:
    """Lay out documents of ``lengths`` tokens (without the shared prefix of ``prefix`` tokens) in the order given.

    A document may fork: its trunk goes on in two ways, one behind the other, which do not see each other. ``forks``
    tells for the first documents where each of the two begins.
    """
    starts, start = [], prefix
    for length in lengths:
        starts.append(start)
        start += length
    order = sorted((i for i in range(len(lengths)) if lengths[i] > 0), key=lambda i: (-lengths[i], i))
    groups: list[list[int]] = []
    for i in order:
        if groups and lengths[i] >= BUCKET_FILL * lengths[groups[-1][0]]:
            groups[-1].append(i)
        else:
            groups.append([i])
    places = [*forks, *[(length, length) for length in lengths[len(forks) :]]]
    buckets = [
        _bucket([(starts[i], lengths[i]) for i in group], prefix, [places[i] for i in group] if forks else [])
        for group in groups
    ]
    if prefix:
        buckets.insert(0, _bucket([(0, prefix)], 0))
    return Layout(start, tuple(buckets))


def _bucket(spans: list[tuple[int, int]], prefix: int, forks: Sequence[tuple[int, int]] = ()) -> Bucket:
    longest = -(-max(length for _, length in spans) // ROUND) * ROUND
    steps = torch.arange(longest)
    starts = torch.tensor([start for start, _ in spans]).unsqueeze(1)
    lengths = torch.tensor([length for _, length in spans]).unsqueeze(1)
    valid = steps < lengths
    queries = starts + torch.where(valid, steps, 0)
    inverse = torch.nonzero(valid.flatten()).squeeze(1)
    padding = torch.nonzero(~valid.flatten()).squeeze(1)
    return Bucket(queries, inverse, queries.flatten()[inverse], padding, prefix, torch.tensor(forks) if forks else None)


def attend(query: Tensor, key: Tensor, value: Tensor, layout: Layout, scale: float) -> Tensor:
    """Causal attention within each document.

    Shapes: query (tokens, heads, size), key and value (tokens, groups, size) with ``heads`` a multiple of ``groups``;
    the result is (tokens, heads, size).
    """
    result: Tensor = _Attend.apply(query, key, value, layout, scale)  # type: ignore[no-untyped-call]
    return result


class _Attend(torch.autograd.Function):
    """One rectangle after the other, forward and backward; only q, k, v and short weights are kept between the two."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, layout: Layout, scale: float) -> Tensor:
        out = torch.empty_like(query)
        kept: list[Tensor | None] = []
        for bucket in layout.buckets:
            q, k, v = _gather(query, key, value, bucket, scale)
            keep = bucket.prefix + bucket.longest <= KEEP_LENGTH
            parts = []
            for begin, end in _blocks(bucket.longest):
                weights = _weights(q, k, bucket, begin, end)
                parts.append(_bmm(weights, v[:, : bucket.prefix + end]))
                kept.append(weights if keep else None)
            _scatter(out, torch.cat(parts, 2) if len(parts) > 1 else parts[0], bucket)
        ctx.save_for_backward(query, key, value, out, *[w for w in kept if w is not None])
        ctx.kept = [w is not None for w in kept]
        ctx.layout, ctx.scale = layout, scale
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, out, *saved = ctx.saved_tensors
        weights_left = iter(saved)
        kept = iter(ctx.kept)
        grad_out = grads[0].contiguous()
        # Sum of dO * O: the correction in the softmax' backward pass (FlashAttention-2, arXiv 2307.08691, section 2.3).
        delta = (grad_out * out).sum(-1, dtype=torch.float32).to(out.dtype)
        grad_query, grad_key, grad_value = torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(value)
        for bucket in ctx.layout.buckets:
            q, k, v = _gather(query, key, value, bucket, ctx.scale)
            g = _rows(grad_out, bucket, key.shape[1], clear=True)
            d = _rows(delta.unsqueeze(-1), bucket, key.shape[1], clear=True)
            dq = torch.empty_like(q)
            dk, dv = torch.zeros_like(k), torch.zeros_like(v)
            for begin, end in _blocks(bucket.longest):
                seen = bucket.prefix + end
                weights = next(weights_left) if next(kept) else _weights(q, k, bucket, begin, end)
                g_block = g[:, :, begin:end]
                dv[:, :seen] += _bmm_t(weights, g_block)
                scores = _bmm(g_block, v[:, :seen].transpose(1, 2)).sub_(d[:, :, begin:end]).mul_(weights)
                dq[:, :, begin:end] = _bmm(scores, k[:, :seen])
                dk[:, :seen] += _bmm_t(scores, q[:, :, begin:end])
            _scatter(grad_query, dq.mul_(ctx.scale), bucket)
            _scatter_keys(grad_key, dk, bucket)
            _scatter_keys(grad_value, dv, bucket)
        return grad_query, grad_key, grad_value, None, None


def _blocks(longest: int) -> list[tuple[int, int]]:
    return [(begin, min(begin + QUERY_BLOCK, longest)) for begin in range(0, longest, QUERY_BLOCK)]


def _rows(joined: Tensor, bucket: Bucket, groups: int, *, clear: bool = False) -> Tensor:
    """(tokens, heads, size) -> (documents * groups, heads per group, longest, size); ``clear`` zeroes the padding."""
    gathered = joined[bucket.queries]
    if clear and len(bucket.padding):
        gathered.flatten(0, 1)[bucket.padding] = 0
    documents, longest, heads, size = gathered.shape
    rows = gathered.view(documents, longest, groups, heads // groups, size).permute(0, 2, 3, 1, 4)
    return rows.reshape(documents * groups, heads // groups, longest, size)


def _keys(joined: Tensor, bucket: Bucket) -> Tensor:
    """(tokens, groups, size) -> (documents * groups, prefix + longest, size)."""
    groups, size = joined.shape[1:]
    rest = joined[bucket.queries].permute(0, 2, 1, 3)
    if not bucket.prefix:
        return rest.reshape(-1, bucket.longest, size)
    prefix = joined[: bucket.prefix].permute(1, 0, 2).expand(bucket.documents, groups, bucket.prefix, size)
    return torch.cat((prefix, rest), 2).view(-1, bucket.prefix + bucket.longest, size)


def _gather(query: Tensor, key: Tensor, value: Tensor, bucket: Bucket, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    return _rows(query, bucket, key.shape[1]).mul_(scale), _keys(key, bucket), _keys(value, bucket)


def _weights(q: Tensor, k: Tensor, bucket: Bucket, begin: int, end: int) -> Tensor:
    """Weights of queries ``begin:end``: (documents * groups, heads per group, end - begin, prefix + end)."""
    scores = _bmm(q[:, :, begin:end], k[:, : bucket.prefix + end].transpose(1, 2))
    size = end - begin
    future = torch.ones(size, size, dtype=torch.bool, device=q.device).triu_(1)
    scores[..., bucket.prefix + begin :].masked_fill_(future, float("-inf"))
    if bucket.forks is not None:
        scores[..., bucket.prefix :].masked_fill_(_other_branch(bucket, begin, end, scores.shape[0]), float("-inf"))
    return torch.softmax(scores, -1)


def _other_branch(bucket: Bucket, begin: int, end: int, rows: int) -> Tensor:
    """Tell which keys lie in the branch that a query is not in: (documents * groups, 1, end - begin, end)."""
    assert bucket.forks is not None
    first, second = bucket.forks[:, :1, None], bucket.forks[:, 1:, None]
    places = torch.arange(end, device=bucket.forks.device)
    queries, keys = places[begin:].view(1, -1, 1), places.view(1, 1, -1)
    hidden = (queries >= second) & (keys >= first) & (keys < second)
    return hidden.repeat_interleave(rows // bucket.documents, 0).unsqueeze(1)


def _bmm(left: Tensor, right: Tensor) -> Tensor:
    """Product in which the heads of a group are extra rows: (b, h, m, k) x (b, k, n) -> (b, h, m, n)."""
    batch, heads, rows, inner = left.shape
    return torch.bmm(left.reshape(batch, heads * rows, inner), right).view(batch, heads, rows, -1)


def _bmm_t(left: Tensor, right: Tensor) -> Tensor:
    """Sum over heads and rows: (b, h, m, k) x (b, h, m, n) -> (b, k, n)."""
    batch, heads, rows, _ = left.shape
    return torch.bmm(
        left.reshape(batch, heads * rows, -1).transpose(1, 2), right.reshape(batch, heads * rows, right.shape[-1])
    )


def _scatter(out: Tensor, rows: Tensor, bucket: Bucket) -> None:
    """Write (documents * groups, heads per group, longest, size) to its places in (tokens, heads, size)."""
    heads, size = out.shape[1:]
    shaped = rows.view(bucket.documents, -1, rows.shape[1], bucket.longest, size).permute(0, 3, 1, 2, 4)
    out[bucket.places] = shaped.reshape(-1, heads, size)[bucket.inverse]


def _scatter_keys(grad: Tensor, keys: Tensor, bucket: Bucket) -> None:
    """Write gradients of the keys to their places; those of the shared prefix are summed over the documents."""
    groups, size = grad.shape[1:]
    shaped = keys.view(bucket.documents, groups, bucket.prefix + bucket.longest, size)
    rest = shaped[:, :, bucket.prefix :].permute(0, 2, 1, 3).reshape(-1, groups, size)
    grad[bucket.places] += rest[bucket.inverse]
    if bucket.prefix:
        grad[: bucket.prefix] += (
            shaped[:, :, : bucket.prefix].sum(0, dtype=torch.float32).permute(1, 0, 2).to(grad.dtype)
        )
