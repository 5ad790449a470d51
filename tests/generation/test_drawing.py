"""Tokens are drawn among the likeliest."""

from __future__ import annotations

import torch

from tunesmith.generation.drawing import choose
from tunesmith.spec.sampling import Sampling


def test_top_k_and_top_p_draw_among_the_likeliest() -> None:
    logits = torch.tensor([0.1, 3.0, 2.9, -5.0])
    chooser = torch.Generator().manual_seed(0)
    drawn = {choose(logits, Sampling(temperature=1.0, top_k=2), chooser) for _ in range(200)}
    assert drawn == {1, 2}
    assert {choose(logits, Sampling(temperature=1.0, top_p=0.0), chooser) for _ in range(20)} == {1}
    assert choose(logits, Sampling(), chooser) == 1
