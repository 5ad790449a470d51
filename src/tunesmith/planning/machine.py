"""What the machine has: cores, memory, number formats, GPUs."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psutil

from tunesmith.planning.gpus import Gpu, gpus
from tunesmith.spec.errors import NoSuchDevice
from tunesmith.spec.job import Device, Resources
from tunesmith.spec.plan import DeviceFacts

GIB: Final = 2**30
BF16_FLAGS: Final = frozenset({"avx512_bf16", "amx_bf16"})
"""Processor flags with which a CPU computes in bf16 faster than in fp32."""
CGROUP: Final = Path("/sys/fs/cgroup")


def device_facts(resources: Resources) -> DeviceFacts:
    """Return the device that a run with these resources gets.

    Raises:
        NoSuchDevice: a GPU was asked for and none (or too few) can be used.
    """
    found = [] if resources.device is Device.CPU else gpus()
    usable = found if _torch_takes_gpus() else []
    if resources.device is Device.CUDA and not usable:
        raise NoSuchDevice(_why_no_gpu(bool(found)))
    if not usable:
        return _cpu(resources)
    if resources.processes > len(usable):
        raise NoSuchDevice(f"{resources.processes} processes were asked for and there are {len(usable)} GPUs")
    return _cuda(usable[: resources.processes], resources)


def cores() -> int:
    """Return how many cores this process may use: affinity, and a container's share."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = cpu_share(CGROUP)
    return max(1, allowed if share is None else min(allowed, round(share)))


def cpu_share(root: Path) -> float | None:
    """Return the cores that a control group grants; None without a limit."""
    quota, _, period = _read(root / "cpu.max").partition(" ")
    if not quota:
        quota, period = _read(root / "cpu/cpu.cfs_quota_us"), _read(root / "cpu/cpu.cfs_period_us")
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:
        return None
    return int(quota) / int(period)


def memory_room(root: Path) -> int | None:
    """Return the bytes that a control group still grants; None without a limit."""
    limit, used = _read(root / "memory.max"), _read(root / "memory.current")
    if not limit:
        limit, used = _read(root / "memory/memory.limit_in_bytes"), _read(root / "memory/memory.usage_in_bytes")
    if not limit.isdigit() or not used.isdigit():
        return None
    return max(0, int(limit) - int(used) + _reclaimable(root))


def _cpu(resources: Resources) -> DeviceFacts:
    room = memory_room(CGROUP)
    available = psutil.virtual_memory().available
    free = available if room is None else min(available, room)
    flags, name = _processor()
    return DeviceFacts(
        kind="cpu",
        name=name,
        count=1,
        memory=_limited(free, resources) // resources.processes,
        cores=cores(),
        bf16=bool(BF16_FLAGS & flags),
        quantizes=find_spec("bitsandbytes") is not None,
    )


def _cuda(used: list[Gpu], resources: Resources) -> DeviceFacts:
    return DeviceFacts(
        kind="cuda",
        name=used[0].name,
        count=len(used),
        memory=_limited(min(gpu.free for gpu in used), resources),
        cores=cores(),
        bf16=all(gpu.bf16 for gpu in used),
        quantizes=find_spec("bitsandbytes") is not None,
        flash=find_spec("flash_attn") is not None,
    )


def _limited(free: int, resources: Resources) -> int:
    """Return the memory that a plan may count on: a limit makes no memory."""
    return free if resources.memory_limit_gb is None else min(free, int(resources.memory_limit_gb * GIB))


def _torch_takes_gpus() -> bool:
    """Whether the installed torch is a build for GPUs, told by its version alone."""
    try:
        return not metadata.version("torch").endswith("+cpu")
    except metadata.PackageNotFoundError:
        return True


def _why_no_gpu(found: bool) -> str:
    if found:
        return "there is a GPU, but the installed torch is a build for CPUs; install one for CUDA"
    return "the NVIDIA driver shows no GPU to this process"


def _processor() -> tuple[frozenset[str], str]:
    """Return the flags and the name of the processor."""
    fields: dict[str, str] = {}
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name") or platform.processor() or platform.machine()
    return frozenset(fields.get("flags", "").split()), name


def _reclaimable(root: Path) -> int:
    """Return the bytes of file cache that the kernel gives back before a limit strikes."""
    for file in ("memory.stat", "memory/memory.stat"):
        for line in _read(root / file).splitlines():
            name, _, value = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file"):
                return int(value)
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
