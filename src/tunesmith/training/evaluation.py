"""Measures rows: their mean loss and what else the task reports, over all processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from tunesmith.data.token_rows import Indices
from tunesmith.spec.errors import OutOfMemory
from tunesmith.training.batching import halves, micro_batches
from tunesmith.training.device import Ranks, is_out_of_memory, release_memory
from tunesmith.training.observer import Observer
from tunesmith.training.pieces import Rows, TrainingPieces


@dataclass(frozen=True)
class Measured:
    """What was found."""

    loss: float
    """Mean over all labels, in nats."""
    metrics: dict[str, float]


def measure(
    pieces: TrainingPieces,
    rows: Rows,
    *,
    micro_tokens: int,
    step: int,
    ranks: Ranks,
    device: torch.device,
    observer: Observer,
) -> Measured:
    """Measure ``rows`` in parts of at most ``micro_tokens``, like training; the model is left in training mode.

    Raises:
        OutOfMemory: a single row does not fit.
    """
    everything = range(len(rows.lengths))
    parts = micro_batches(everything, rows.lengths, micro_tokens)
    sums: Counter[str] = Counter()
    pieces.model.eval()
    with torch.no_grad():
        for part in parts[ranks.rank :: ranks.world]:
            in_halves(
                part, lambda some: sums.update(pieces.measure(rows.batch(some, 0))),
                lengths=rows.lengths, step=step, device=device,
            )  # fmt: skip
            observer.beat(step)
    pieces.model.train()
    found = _over_all(sums, ranks, device)
    labels = max(1, rows.labels(everything, 0))
    return Measured(found.get("loss", 0.0) / labels, pieces.metrics(found, labels))


def in_halves(
    part: Sequence[int],
    compute: Callable[[Sequence[int]], None],
    *,
    lengths: Indices,
    step: int,
    device: torch.device,
) -> None:
    """Compute on a part of rows; where memory runs out, on its halves.

    Raises:
        OutOfMemory: a single row does not fit.
    """
    try:
        compute(part)
        return
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(part) == 1:
            raise OutOfMemory(step, int(lengths[part[0]])) from error
    release_memory(device)
    for half in halves(part):
        in_halves(half, compute, lengths=lengths, step=step, device=device)


def _over_all(sums: Counter[str], ranks: Ranks, device: torch.device) -> dict[str, float]:
    """Add the sums of all processes up; one that had no part to measure knows no names, and learns them."""
    names = sorted({name for known in ranks.all_of(sorted(sums)) for name in known})
    totals = ranks.total(*(sums[name] for name in names), device=device)
    return dict(zip(names, totals, strict=True))
