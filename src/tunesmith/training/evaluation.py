"""Measures rows: their mean loss and what else the task reports, over all processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tunesmith.data.token_rows import Indices
from tunesmith.spec.errors import OutOfMemory
from tunesmith.training.batching import halves, micro_batches
from tunesmith.training.device import Ranks, is_out_of_memory, release_memory
from tunesmith.training.observer import Observer
from tunesmith.training.pieces import Gathering, Rows, TrainingPieces, able


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
    said: list[tuple[int, Any]] = []
    gathering: Gathering | None = able(pieces, Gathering)

    def compute(some: Sequence[int]) -> None:
        batch = rows.batch(some, 0)
        if gathering is None:
            sums.update(pieces.measure(batch))
            return
        part, each = gathering.gather(batch)
        sums.update(part)
        said.extend(zip(some, each, strict=True))

    pieces.model.eval()
    with torch.no_grad():
        for part in parts[ranks.rank :: ranks.world]:
            in_halves(part, compute, lengths=rows.lengths, step=step, device=device)
            observer.beat(step)
    pieces.model.train()
    found = _over_all(sums, ranks, device)
    labels = max(1, rows.labels(everything, 0))
    metrics = pieces.metrics(found, labels)
    if gathering is not None:
        metrics |= gathering.figures(_in_order(said, ranks))
    return Measured(metrics.pop("loss", found.get("loss", 0.0) / labels), metrics)


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


def _in_order(said: list[tuple[int, Any]], ranks: Ranks) -> list[Any]:
    """Put what rows say in all processes in the order of the rows."""
    everything = [each for part in ranks.all_of(said) for each in part]
    return [each for _, each in sorted(everything, key=lambda pair: pair[0])]


def _over_all(sums: Counter[str], ranks: Ranks, device: torch.device) -> dict[str, float]:
    """Add the sums of all processes up; one that had no part to measure knows no names, and learns them."""
    names = sorted({name for known in ranks.all_of(sorted(sums)) for name in known})
    totals = ranks.total(*(sums[name] for name in names), device=device)
    return dict(zip(names, totals, strict=True))
