"""How the next token is drawn."""

from __future__ import annotations

import torch

from tunesmith.spec.sampling import Sampling


def choose(logits: torch.Tensor, sampling: Sampling, chooser: torch.Generator) -> int:
    """Draw the next token from logits of shape (vocabulary,)."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    ranked, order = (logits / sampling.temperature).sort(descending=True)
    if sampling.top_k:
        ranked, order = ranked[: sampling.top_k], order[: sampling.top_k]
    shares = ranked.softmax(0)
    likely = shares.cumsum(0) - shares < sampling.top_p
    likely[0] = True
    return int(order[torch.multinomial(shares * likely, 1, generator=chooser)])
