"""Layers that normalise over a batch, where a batch holds a single value for each channel."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

_SINGLE = "_meets_a_single_value"


def bear_single_values(model: nn.Module) -> None:
    """Let layers that normalise over a batch take a single value for each channel, as when they are measured.

    A last step of one small picture has no more, of which PyTorch would refuse to take the variance: then what earlier
    batches told of mean and variance counts, and stays as it is.
    """
    for part in model.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats:
            part.register_forward_pre_hook(_steadied)
            part.register_forward_hook(_released)


def _steadied(part: Any, inputs: tuple[Tensor, ...]) -> None:
    if part.training and inputs[0].numel() == inputs[0].shape[1]:
        part.training = False
        setattr(part, _SINGLE, True)


def _released(part: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    if part.__dict__.pop(_SINGLE, False):
        part.training = True
