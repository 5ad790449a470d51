"""Which rows make a step, and which of them are computed together: functions of the seed alone."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from tunesmith.data.token_rows import Indices


@functools.lru_cache(maxsize=2)
def epoch_order(rows: int, seed: int, epoch: int) -> Indices:
    """Return the order of ``rows`` in this epoch; the same for the same seed and epoch."""
    order: Indices = np.random.default_rng([seed, epoch]).permutation(rows)
    order.flags.writeable = False
    return order


def step_rows(rows: int, batch: int, seed: int, epoch: int, place: int) -> list[int]:
    """Return the rows of the step that begins at ``place`` (rows taken before) of pass ``epoch`` (counted from 0).

    The last step of a pass may hold fewer than ``batch`` rows.
    """
    return [int(row) for row in epoch_order(rows, seed, epoch)[place : place + batch]]


def micro_batches(rows: Sequence[int], lengths: Indices, limit: int) -> list[list[int]]:
    """Divide rows into parts of at most ``limit`` tokens, similar lengths together; a longer row goes alone."""
    parts: list[list[int]] = []
    filled = limit
    for row in sorted(rows, key=lambda row: (int(lengths[row]), row)):
        length = int(lengths[row])
        if parts and filled + length <= limit:
            parts[-1].append(row)
            filled += length
        else:
            parts.append([row])
            filled = length
    return parts


def halves(rows: Sequence[int]) -> list[list[int]]:
    """Split one micro-batch in two, for a step that ran out of memory."""
    middle = len(rows) // 2
    return [list(rows[:middle]), list(rows[middle:])]


def draw_seed(seed: int, step: int, part: Sequence[int]) -> int:
    """Seed of the random numbers (dropout) of one micro-batch: a function of the run's seed, the step and the part."""
    return int(np.random.SeedSequence([seed, step, *part]).generate_state(1, np.uint64)[0] >> np.uint64(1))
