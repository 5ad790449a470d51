"""The NVIDIA GPUs of this machine, asked of the driver's own library (NVML), which is there wherever the driver is."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

LIBRARY: Final = "libnvidia-ml.so.1"
NAME_BYTES: Final = 96
"""Room for a name or a UUID (NVML_DEVICE_NAME_V2_BUFFER_SIZE)."""


@dataclass(frozen=True)
class Gpu:
    """One GPU."""

    index: int
    name: str
    uuid: str
    total: int
    """Bytes of memory."""
    free: int
    capability: tuple[int, int]
    """CUDA compute capability, such as (8, 0)."""

    @property
    def bf16(self) -> bool:
        """Whether it computes in bf16 (from Ampere on)."""
        return self.capability >= (8, 0)


class _Memory(ctypes.Structure):
    """``nvmlMemory_t``."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def gpus() -> list[Gpu]:
    """Return the GPUs that a process may use (CUDA_VISIBLE_DEVICES counts); none where there is no driver."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return []
    if library.nvmlInit_v2() != 0:
        return []
    try:
        return visible(list(_asked(library)), os.environ.get("CUDA_VISIBLE_DEVICES"))
    finally:
        library.nvmlShutdown()


def visible(found: list[Gpu], chosen: str | None) -> list[Gpu]:
    """Return the GPUs that a value of CUDA_VISIBLE_DEVICES leaves, in its order; an unknown one ends the list."""
    if chosen is None:
        return found
    kept: list[Gpu] = []
    for word in (part.strip() for part in chosen.split(",")):
        match = [gpu for gpu in found if word and (word == str(gpu.index) or gpu.uuid.startswith(word))]
        if not match:
            break
        kept.append(match[0])
    return kept


def _asked(library: Any) -> Iterator[Gpu]:
    count = ctypes.c_uint()
    library.nvmlDeviceGetCount_v2(ctypes.byref(count))
    for index in range(count.value):
        handle, memory = ctypes.c_void_p(), _Memory()
        major, minor = ctypes.c_int(), ctypes.c_int()
        if library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) != 0:
            continue
        library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
        library.nvmlDeviceGetCudaComputeCapability(handle, ctypes.byref(major), ctypes.byref(minor))
        yield Gpu(
            index,
            _text(library.nvmlDeviceGetName, handle),
            _text(library.nvmlDeviceGetUUID, handle),
            memory.total,
            memory.free,
            (major.value, minor.value),
        )


def _text(ask: Any, handle: ctypes.c_void_p) -> str:
    buffer = ctypes.create_string_buffer(NAME_BYTES)
    ask(handle, buffer, NAME_BYTES)
    return buffer.value.decode(errors="replace")
