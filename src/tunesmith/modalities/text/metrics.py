"""What an evaluation of a language model reports beside its loss."""

from __future__ import annotations

import math

LARGEST = 700.0
"""Loss beyond which the perplexity would not fit into a float."""


def perplexity(loss: float) -> float:
    """Return e to the mean loss in nats: between how many tokens the model hesitates on average."""
    return math.exp(min(loss, LARGEST))
