"""Layers that normalise over a batch, given a single value for each channel."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tunesmith.training.batch_norm import bear_single_values


def layer() -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(3)
    generator = torch.Generator().manual_seed(0)
    made(torch.randn(4, 3, 2, 2, generator=generator))
    return made


def test_a_single_value_is_normalised_by_what_was_seen_before_and_changes_nothing_of_it() -> None:
    part, single = layer(), torch.randn(1, 3, 1, 1, generator=torch.Generator().manual_seed(1))
    with pytest.raises(ValueError, match="more than 1 value"):
        part(single)
    expected, mean = part.eval()(single), part.train().running_mean.clone()  # type: ignore[union-attr]
    bear_single_values(part)
    found = part(single)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    torch.testing.assert_close(part.running_mean, mean, rtol=0, atol=0)
    assert part.training
    found.sum().backward()
    assert part.weight.grad is not None


def test_other_batches_are_normalised_as_ever() -> None:
    plain, bearing = layer(), layer()
    bear_single_values(bearing)
    for batch in (torch.ones(1, 3, 2, 2), torch.arange(6.0).view(2, 3, 1, 1)):
        torch.testing.assert_close(bearing(batch), plain(batch), rtol=0, atol=0)
    torch.testing.assert_close(bearing.running_var, plain.running_var, rtol=0, atol=0)
    single = torch.ones(1, 3, 1, 1)
    torch.testing.assert_close(bearing.eval()(single), plain.eval()(single), rtol=0, atol=0)
    assert not bearing.training
