"""The optimizer's part of a checkpoint: whatever tensors and numbers an update rule keeps for each parameter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunesmith.training.optimizers import Trainables


def save_optimizer(path: Path, trainables: Trainables, optimizer: torch.optim.Optimizer) -> None:
    """Write the tensors of each parameter's state, and its plain numbers (such as a step counter) beside them."""
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    numbers: dict[str, float] = {}
    for name, master in trainables:
        state: dict[str, Any] = optimizer.state.get(master, {})
        for key, value in state.items():
            if isinstance(value, Tensor):
                # Clones: safetensors refuses tensors that share memory, as tables of 8-bit values do.
                tensors[f"{name}:{key}"] = value.detach().cpu().clone()
            else:
                numbers[f"{name}:{key}"] = value
    save_file(tensors, path, metadata={"numbers": json.dumps(numbers)})


def load_optimizer(path: Path, trainables: Trainables, optimizer: torch.optim.Optimizer) -> None:
    """Copy the state in, after the optimizer has laid out the memory that it wants of a kind (paged, say)."""
    saved = _read(path)
    optimizer.state.clear()
    _lay_out(optimizer, {id(master) for name, master in trainables if name in saved})
    for name, master in trainables:
        if name not in saved:
            continue
        state = optimizer.state[master]
        for key, value in saved[name].items():
            if not isinstance(value, Tensor):
                state[key] = value
            elif isinstance(state.get(key), Tensor):
                state[key].copy_(value)
            else:
                state[key] = torch.empty_like(value, device=master.device).copy_(value)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the tensors and numbers of each parameter, by name and key."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        values: dict[str, Any] = json.loads((file.metadata() or {}).get("numbers", "{}"))
        values |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- it is no mapping.
    saved: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        parameter, _, key = name.rpartition(":")
        saved.setdefault(parameter, {})[key] = value
    return saved


def _lay_out(optimizer: Any, masters: set[int]) -> None:
    """Have an optimizer of bitsandbytes make the state of these masters."""
    if not hasattr(optimizer, "init_state"):
        return
    for group_index, group in enumerate(optimizer.param_groups):
        for index, master in enumerate(group["params"]):
            if id(master) in masters:
                optimizer.init_state(group, master, group_index, index)
