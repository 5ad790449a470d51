"""What a checkpoint holds: weights, optimizer, and the few numbers from which everything else follows."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from tunesmith.training import optimizer_state
from tunesmith.training.optimizers import Trainables
from tunesmith.training.progress import Progress

OPTIMIZER: Final = "optimizer.safetensors"


def save_state(folder: Path, trainables: Trainables, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write ``weights.safetensors``, ``optimizer.safetensors`` and ``progress.json``."""
    from safetensors.torch import save_file

    held = {**dict(trainables), **trainables.statistics}
    save_file({name: tensor.detach().cpu() for name, tensor in held.items()}, folder / "weights.safetensors")
    optimizer_state.save_optimizer(folder / OPTIMIZER, trainables, optimizer)
    progress.write(folder)


def load_state(folder: Path, trainables: Trainables, optimizer: torch.optim.Optimizer) -> Progress:
    """Copy a checkpoint into live objects that were built as at the start of the run."""
    load_weights(folder, trainables)
    load_optimizer(folder, trainables, optimizer)
    return Progress.read(folder)


def load_optimizer(folder: Path, trainables: Trainables, optimizer: torch.optim.Optimizer) -> None:
    """Copy only the optimizer's state of a checkpoint."""
    optimizer_state.load_optimizer(folder / OPTIMIZER, trainables, optimizer)


def load_weights(folder: Path, trainables: Trainables) -> None:
    """Copy only the trained weights of a checkpoint into the model."""
    trainables.load(_load(folder / "weights.safetensors"))


def forget_optimizer(optimizer: torch.optim.Optimizer) -> None:
    """Put the optimizer back to before its first step."""
    optimizer.state.clear()


def _load(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)
