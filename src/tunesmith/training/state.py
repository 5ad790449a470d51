"""What a checkpoint holds: weights, optimizer, and the few numbers from which everything else follows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunesmith.training.optimizers import Trainables


@dataclass
class Progress:
    """Where training stands. Order of rows and random numbers follow from seed and ``step``, so they are not kept."""

    step: int = 0
    """Optimizer steps done."""
    tokens: int = 0
    """Real tokens computed."""
    trained_tokens: int = 0
    seconds: float = 0.0
    """Time spent, over all runs of a resumed job."""
    losses: list[float] = field(default_factory=list)
    """Last 10 training losses."""
    evaluations: int = 0
    start_loss: float | None = None
    """Validation loss before the first step."""
    validation_loss: float | None = None
    best_loss: float | None = None
    best_step: int | None = None
    waited: int = 0
    """Evaluations in a row without improvement."""
    stopped: str | None = None
    """Why training stopped before its last step."""
    total: int | None = None
    """Steps that the run was to have."""
    history: list[list[float | None]] = field(default_factory=list)
    """One [step, training loss, validation loss] for each evaluation."""
    micro_tokens: int = 0
    """Most tokens computed at once: the plan's, or what an out-of-memory taught."""
    rate_factor: float = 1.0
    """Halved when the run went back after a loss that was not a number."""
    recoveries: int = 0
    """How often the run went back."""

    def remember(self, loss: float) -> None:
        """Keep the newest training losses."""
        self.losses = [*self.losses[-9:], loss]

    @property
    def train_loss(self) -> float | None:
        """Mean of the last 10 training losses."""
        return sum(self.losses) / len(self.losses) if self.losses else None


def save_state(folder: Path, trainables: Trainables, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write ``weights.safetensors``, ``optimizer.safetensors`` and ``progress.json``."""
    from safetensors.torch import save_file

    save_file({name: master.detach().cpu() for name, master in trainables}, folder / "weights.safetensors")
    save_file(_optimizer_tensors(trainables, optimizer), folder / "optimizer.safetensors")
    (folder / "progress.json").write_text(json.dumps(asdict(progress)))


def load_state(folder: Path, trainables: Trainables, optimizer: torch.optim.Optimizer) -> Progress:
    """Copy a checkpoint into live objects that were built as at the start of the run."""
    load_weights(folder, trainables)
    tensors = _load(folder / "optimizer.safetensors")
    for name, master in trainables:
        state = optimizer.state[master]
        state.clear()
        for key in ("exp_avg", "exp_avg_sq"):
            if f"{name}:{key}" in tensors:
                state[key] = torch.empty_like(master, requires_grad=False).copy_(tensors[f"{name}:{key}"])
        if state:
            state["step"] = torch.empty((), device=master.device).copy_(tensors[f"{name}:step"])
    return Progress(**json.loads((folder / "progress.json").read_text()))


def load_weights(folder: Path, trainables: Trainables) -> None:
    """Copy only the trained weights of a checkpoint into the model."""
    trainables.load(_load(folder / "weights.safetensors"))


def forget_optimizer(optimizer: torch.optim.Optimizer) -> None:
    """Put the optimizer back to before its first step."""
    optimizer.state.clear()


def _load(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def _optimizer_tensors(trainables: Trainables, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, master in trainables:
        state: dict[str, Any] = optimizer.state.get(master, {})
        for key, value in state.items():
            # The step counters are clones: safetensors refuses tensors that share memory.
            tensors[f"{name}:{key}"] = value.detach().cpu().float().clone() if key == "step" else value.detach().cpu()
    return tensors
