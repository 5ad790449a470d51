"""Tokens are drawn among the likeliest."""

from __future__ import annotations

import pytest
import torch

from tunesmith.generation.asking import Ask, Ticket
from tunesmith.generation.drawing import LEAST, choose, draw
from tunesmith.generation.rows import Row
from tunesmith.spec.sampling import Sampling


def test_top_k_and_top_p_draw_among_the_likeliest() -> None:
    logits = torch.tensor([0.1, 3.0, 2.9, -5.0])
    chooser = torch.Generator().manual_seed(0)
    drawn = {choose(logits, Sampling(temperature=1.0, top_k=2), chooser) for _ in range(200)}
    assert drawn == {1, 2}
    assert {choose(logits, Sampling(temperature=1.0, top_p=0.0), chooser) for _ in range(20)} == {1}
    assert choose(logits, Sampling(), chooser) == 1


@pytest.mark.parametrize("temperature", [1e-3, 1e-40, 1e-310])
def test_the_coldest_draw_takes_the_likeliest(temperature: float) -> None:
    logits = torch.tensor([0.1, 3.0, 2.9, -5.0])
    chooser = torch.Generator().manual_seed(0)
    assert {choose(logits, Sampling(temperature=temperature), chooser) for _ in range(20)} == {1}


def test_the_probability_of_what_cannot_be_is_a_number() -> None:
    ask = Ask([1], Sampling(), logprobs=3)
    [token] = draw(torch.tensor([[0.0, float("-inf"), 1.0]]), [Row(ask, Ticket(1, lambda: None), 1)])
    assert token is not None
    assert (token.id, token.top[-1]) == (2, (1, LEAST))
