"""When to stop: pure functions over the history of losses."""

from __future__ import annotations


def improved(loss: float, best: float | None, min_delta: float) -> bool:
    """Whether a validation loss counts as better than the best so far."""
    return best is None or loss < best - min_delta


def out_of_patience(waited: int, patience: int) -> bool:
    """Whether ``waited`` evaluations in a row without improvement are enough."""
    return waited >= patience
