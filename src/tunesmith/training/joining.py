"""Batches: rows joined end to end for the document path, or padded to a rectangle for a model's own path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tunesmith.data.token_rows import Ids, Mask, TokenRows
from tunesmith.training.documents import Layout, layout_of

ROUND = 64
"""A joined sequence is filled up to a multiple of this many tokens, with a row of its own that nobody reads.

Matrix products are prepared for each new shape, which costs time and memory; so the shapes repeat.
"""


WIDE = 16
"""Rows side by side are as wide as a multiple of this many tokens, for the same reason."""


@dataclass(frozen=True)
class JoinedBatch:
    """Rows end to end, with what they all begin with computed once."""

    ids: Tensor
    """(tokens,) int64"""
    positions: Tensor
    """(tokens,) int64: place of each token within its own row."""
    layout: Layout
    places: Tensor
    """(labels,) int64: where a labelled token is predicted from."""
    targets: Tensor
    """(labels,) int64"""
    tokens: int
    shared: int
    """Tokens of the shared prefix."""

    @property
    def labels(self) -> int:
        """Tokens that carry a label."""
        return len(self.targets)


@dataclass(frozen=True)
class PaddedBatch:
    """Rows side by side, padded on the right."""

    ids: Tensor
    """(rows, longest) int64"""
    attention: Tensor
    """(rows, longest) int64: 1 on tokens, 0 on padding."""
    places: Tensor
    """(labels,) int64 into the flattened rectangle."""
    targets: Tensor
    """(labels,) int64"""
    tokens: int

    @property
    def labels(self) -> int:
        """Tokens that carry a label."""
        return len(self.targets)


def join(rows: Sequence[tuple[Ids, Mask]], device: torch.device) -> JoinedBatch:
    """Join rows end to end."""
    shared = shared_prefix(rows)
    rests = [ids[shared:] for ids, _ in rows]
    lengths = [len(rest) for rest in rests]
    filling = -(shared + sum(lengths)) % ROUND
    starts = shared + np.cumsum([0, *lengths[:-1]])
    places, targets = [], []
    for start, (ids, mask) in zip(starts, rows, strict=True):
        labelled = np.flatnonzero(mask)
        places.append(labelled - 1 - shared + start)
        targets.append(ids[labelled])
    positions = [np.arange(shared), *(np.arange(shared, shared + length) for length in [*lengths, filling])]
    return JoinedBatch(
        _tensor([rows[0][0][:shared], *rests, np.zeros(filling, np.int64)], device),
        _tensor(positions, device),
        layout_of([*lengths, filling], prefix=shared).to(device),
        _tensor(places, device),
        _tensor(targets, device),
        sum(len(ids) for ids, _ in rows),
        shared,
    )


def shared_prefix(rows: Sequence[tuple[Ids, Mask]]) -> int:
    """Count the tokens that all rows begin with, up to the one from which the first label is predicted."""
    if len(rows) < 2:
        return 0
    first = rows[0][0]
    shared = len(first)
    for ids, mask in rows:
        limit = min(shared, len(ids), int(np.argmax(mask)) - 1 if mask.any() else len(ids) - 1)
        different = np.flatnonzero(ids[:limit] != first[:limit])
        shared = int(different[0]) if len(different) else max(0, limit)
    return shared


def join_pairs(pairs: Sequence[tuple[tuple[Ids, Mask], tuple[Ids, Mask]]], device: torch.device) -> JoinedBatch:
    """Join pairs of rows end to end; what the two rows of a pair begin with is computed once.

    Labels stand in the order of the rows: those of a pair's first row, then those of its second.
    """
    parts, positions, places, targets, lengths, forks = [], [], [], [], [], []
    begin = 0
    for (ids, mask), (others, other_mask) in pairs:
        trunk = _trunk(ids, mask, others, other_mask)
        labelled, other_labelled = np.flatnonzero(mask), np.flatnonzero(other_mask)
        behind = np.where(other_labelled > trunk, len(ids) - trunk, 0)
        parts += [ids, others[trunk:]]
        positions += [np.arange(len(ids)), np.arange(trunk, len(others))]
        places += [labelled - 1 + begin, other_labelled - 1 + behind + begin]
        targets += [ids[labelled], others[other_labelled]]
        forks.append((trunk, len(ids)))
        lengths.append(len(ids) + len(others) - trunk)
        begin += lengths[-1]
    filling = -begin % ROUND
    return JoinedBatch(
        _tensor([*parts, np.zeros(filling, np.int64)], device),
        _tensor([*positions, np.arange(filling)], device),
        layout_of([*lengths, filling], forks=forks).to(device),
        _tensor(places, device),
        _tensor(targets, device),
        sum(len(row) for pair in pairs for row, _ in pair),
        sum(fork[0] for fork in forks),
    )


def _trunk(ids: Ids, mask: Mask, others: Ids, other_mask: Mask) -> int:
    """Count the tokens that two rows begin with, up to the first label; the last of them predicts in both."""
    first = (int(np.argmax(one)) if one.any() else len(one) for one in (mask, other_mask))
    limit = min(len(ids), len(others), *first)
    different = np.flatnonzero(ids[:limit] != others[:limit])
    return int(different[0]) if len(different) else limit


def pad(rows: Sequence[tuple[Ids, Mask]], device: torch.device, fill: int) -> PaddedBatch:
    """Put rows side by side."""
    ids, attention = rectangle([ids for ids, _ in rows], device, fill)
    places, targets = [], []
    for i, (own, mask) in enumerate(rows):
        labelled = np.flatnonzero(mask)
        places.append(labelled - 1 + i * ids.shape[1])
        targets.append(own[labelled])
    return PaddedBatch(
        ids, attention, _tensor(places, device), _tensor(targets, device), sum(len(own) for own, _ in rows)
    )


def rectangle(rows: Sequence[Ids], device: torch.device, fill: int, *, wide: int = 1) -> tuple[Tensor, Tensor]:
    """Put the tokens of rows side by side; return them and where there are any, both (rows, longest) int64.

    It is as wide as a multiple of ``wide``, so that shapes repeat.
    """
    longest = -(-max(len(ids) for ids in rows) // wide) * wide
    filled = np.full((len(rows), longest), fill, dtype=np.int64)
    attention = np.zeros((len(rows), longest), dtype=np.int64)
    for i, ids in enumerate(rows):
        filled[i, : len(ids)] = ids
        attention[i, : len(ids)] = 1
    return torch.from_numpy(filled).to(device), torch.from_numpy(attention).to(device)


class TokenBatches:
    """Rows of token ids as the loop sees them."""

    def __init__(self, rows: TokenRows, device: torch.device, *, joined: bool, fill: int) -> None:
        self._rows = rows
        self.lengths = rows.lengths
        """(rows,) tokens of each row."""
        self._device = device
        self._joined = joined
        self._fill = fill
        self._labels = rows.trained()

    def labels(self, rows: Sequence[int], epoch: int = 0) -> int:
        """Count the labelled tokens of these rows, the same in every epoch."""
        return int(self._labels[list(rows)].sum())

    def batch(self, rows: Sequence[int], epoch: int = 0) -> JoinedBatch | PaddedBatch:
        """Make a batch of these rows."""
        chosen = [self._rows.row(row) for row in rows]
        if self._joined:
            return join(chosen, self._device)
        return pad(chosen, self._device, self._fill)


def _tensor(parts: Sequence[np.ndarray], device: torch.device) -> Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.int64)).to(device)
