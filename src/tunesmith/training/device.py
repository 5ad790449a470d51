"""Devices, threads and the processes that share a step."""

from __future__ import annotations

import gc
import os
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among those that share each step."""

    rank: int
    world: int

    @property
    def first(self) -> bool:
        """Whether this is the process that reports and saves."""
        return self.rank == 0

    def add_up(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.world > 1:
            for tensor in tensors:
                torch.distributed.all_reduce(tensor)

    def total(self, *numbers: float, device: torch.device) -> list[float]:
        """Sum plain numbers over all processes."""
        if self.world == 1:
            return list(numbers)
        tensor = torch.tensor(numbers, dtype=torch.float64, device=device)
        torch.distributed.all_reduce(tensor)
        return [float(number) for number in tensor.tolist()]

    def from_first(self, number: int, device: torch.device) -> int:
        """Return what the first process holds."""
        if self.world == 1:
            return number
        tensor = torch.tensor([number], device=device)
        torch.distributed.broadcast(tensor, 0)
        return int(tensor.item())

    def least(self, number: int, device: torch.device) -> int:
        """Return the smallest that any process holds."""
        if self.world == 1:
            return number
        tensor = torch.tensor([number], device=device)
        torch.distributed.all_reduce(tensor, torch.distributed.ReduceOp.MIN)
        return int(tensor.item())

    def all_of(self, names: list[T]) -> list[list[T]]:
        """Return what every process holds."""
        if self.world == 1:
            return [names]
        held: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(held, names)
        return held

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.world > 1:
            torch.distributed.barrier()


def join_ranks(device: str) -> Ranks:
    """Join the process group that ``torch.distributed.run`` prepared, if it did."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Ranks(0, 1)
    from accelerate import PartialState  # type: ignore[import-untyped]

    # The others wait in a barrier while the first one prepares the data, however long that takes.
    state = PartialState(cpu=device == "cpu", timeout=timedelta(days=7))
    return Ranks(state.process_index, state.num_processes)


def set_up(device: str, threads: int, ranks: Ranks) -> torch.device:
    """Fix the thread count (part of what makes a run repeatable) and return this process' device."""
    torch.set_num_threads(threads)
    if device == "cuda":
        place = torch.device("cuda", ranks.rank % torch.cuda.device_count())
        torch.cuda.set_device(place)
        return place
    return torch.device("cpu")


def peak_memory(device: torch.device) -> int:
    """Most memory used so far, in bytes: of the GPU, or of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with suppress(OSError), open("/proc/self/status") as file:
        # What getrusage says begins with the memory of the process that started this one.
        return int(file.read().partition("VmHWM:")[2].split()[0]) * 1024
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024


def release_memory(device: torch.device) -> None:
    """Give back what is no longer referenced."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on a GPU or on the host."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "not enough memory" in text)
