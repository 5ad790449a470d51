"""How well a model predicts the labelled tokens of each row, joined or padded as in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.data.token_rows import Indices, TokenRows
from tunesmith.training.batching import micro_batches
from tunesmith.training.evaluation import in_halves
from tunesmith.training.forward import Forward, scores_of_labels
from tunesmith.training.joining import TokenBatches


@dataclass(frozen=True)
class RowScores:
    """What was found of each row, all (rows,)."""

    nats: NDArray[np.float64]
    """Sum of the cross entropy over the row's labels."""
    right: NDArray[np.float64]
    """Labels that are the likeliest token."""
    labels: Indices


def score_rows(
    model: Any,
    forward: Forward,
    rows: TokenRows,
    *,
    micro_tokens: int,
    device: torch.device,
    fill: int,
    beat: Callable[[float], None],
) -> RowScores:
    """Score rows in parts of at most ``micro_tokens``; ``beat`` hears the share of the rows that is done.

    Raises:
        OutOfMemory: a single row does not fit.
    """
    batches = TokenBatches(rows, device, joined=forward.joined, fill=fill)
    labels = rows.trained()
    nats, right = np.zeros(len(rows)), np.zeros(len(rows))

    def compute(part: Sequence[int]) -> None:
        losses, hits = scores_of_labels(forward, model, batches.batch(part))
        owners = np.repeat(np.array(part), labels[list(part)])
        np.add.at(nats, owners, losses.double().cpu().numpy())
        np.add.at(right, owners, hits.double().cpu().numpy())

    model.eval()
    done = 0
    with torch.no_grad():
        for part in micro_batches(range(len(rows)), rows.lengths, micro_tokens):
            in_halves(part, compute, lengths=rows.lengths, step=0, device=device)
            done += len(part)
            beat(done / len(rows))
    return RowScores(nats, right, labels)
