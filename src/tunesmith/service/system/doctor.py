"""Is this machine ready? Each check looks at one thing, says what it found, and what to do where that is not right."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Final

import psutil

from tunesmith.planning.gpus import gpus
from tunesmith.service.models import hub
from tunesmith.service.system.mending import leftovers
from tunesmith.service.system.packages import lacking
from tunesmith.service.system.probes import TorchFacts, torch_facts
from tunesmith.settings import Settings

OLDEST_PYTHON: Final = (3, 11)
LITTLE_DISK: Final = 5 * 2**30
"""Bytes; below, a model and a few checkpoints may not fit."""
NO_DISK: Final = 2**29
"""Bytes; below, not even the demo fits."""
LITTLE_MEMORY: Final = 4 * 2**30
"""Bytes; below, even a small model is tight."""


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Check:
    """What one check found."""

    name: str
    state: State
    found: str
    advice: str = ""
    """What to do; empty where all is well."""


def examine(settings: Settings) -> Iterator[Check]:
    """Run every check, the quick ones first."""
    for check in CHECKS:
        yield check(settings)
    facts = torch_facts()
    yield check_torch(facts)
    yield check_device(facts)
    yield check_quantization(facts)


def check_python(settings: Settings) -> Check:
    """Is the interpreter recent enough?"""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info >= OLDEST_PYTHON:
        return Check("python", State.OK, found)
    return Check("python", State.FAULT, found, "Install Python 3.11 or later.")


def check_packages(settings: Settings) -> Check:
    """Are the packages of the core and of training there, in versions that go together?"""
    core, training = lacking("tunesmith", extra=None), lacking("tunesmith", extra="train")
    if core or training:
        extra = "tunesmith[train]" if training else "tunesmith"
        return Check(
            "packages",
            State.FAULT,
            "; ".join([*core, *training]),
            f"Run: tunesmith doctor --fix, or pip install '{extra}'.",
        )
    return Check("packages", State.OK, f"tunesmith {metadata.version('tunesmith')}, all that it needs is installed")


def check_home(settings: Settings) -> Check:
    """Can the home be written?"""
    home = settings.home
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(b"x")
    except OSError as error:
        why = error.strerror or str(error)
        return Check(
            "home", State.FAULT, f"{home}: {why}", "Make it writable, or set TUNESMITH_HOME to another folder."
        )
    return Check("home", State.OK, str(home))


def check_disk(settings: Settings) -> Check:
    """Is there room in the home?"""
    place = next((folder for folder in (settings.home, *settings.home.parents) if folder.exists()), Path("/"))
    free = shutil.disk_usage(place).free
    state = State.FAULT if free < NO_DISK else State.WARNING if free < LITTLE_DISK else State.OK
    advice = "" if state is State.OK else "Free some space, or set TUNESMITH_HOME to a larger disk."
    return Check("disk", state, f"{free / 2**30:,.1f} GiB free in {place}", advice)


def check_memory(settings: Settings) -> Check:
    """Is there memory for a small model?"""
    memory = psutil.virtual_memory()
    found = f"{memory.available / 2**30:,.1f} of {memory.total / 2**30:,.1f} GiB free"
    if memory.available < LITTLE_MEMORY:
        return Check("memory", State.WARNING, found, "Close other programs, or train small models only.")
    return Check("memory", State.OK, found)


def check_leftovers(settings: Settings) -> Check:
    """Did a process that died leave half-written folders behind?"""
    left = leftovers(settings)
    if not left:
        return Check("leftovers", State.OK, "none")
    size = sum(file.stat().st_size for folder in left for file in folder.rglob("*") if file.is_file())
    advice = "They go when their run is resumed; `tunesmith doctor --fix` removes them."
    return Check("leftovers", State.WARNING, f"{len(left)} half-written checkpoints, {size / 1e6:,.0f} MB", advice)


def check_hub(settings: Settings) -> Check:
    """Does the model hub answer?"""
    if settings.offline:
        return Check("hub", State.OK, "not asked (offline)")
    if hub.reachable():
        return Check("hub", State.OK, "answers")
    advice = "Models from folders and from `tunesmith pull` work without it; --offline says so at once."
    return Check("hub", State.WARNING, "does not answer", advice)


def check_torch(facts: TorchFacts) -> Check:
    """Can torch, and what stands beside it, be imported?"""
    if facts.version is None:
        return Check(
            "torch",
            State.FAULT,
            facts.fault or "not installed",
            "Run: tunesmith doctor --fix, or pip install 'tunesmith[train]'.",
        )
    if facts.fault:
        return Check(
            "torch",
            State.FAULT,
            f"{facts.version}; {facts.fault}",
            "Run: tunesmith doctor --fix (it takes torchvision out, which nothing here needs).",
        )
    return Check("torch", State.OK, facts.version)


def check_device(facts: TorchFacts) -> Check:
    """What would be computed on, and in which precision?"""
    if facts.devices:
        return Check("device", State.OK, f"{', '.join(facts.devices)}; {'bf16' if facts.bf16 else 'fp32'}")
    if found := gpus():
        advice = "torch does not see it: a build for CPUs, or one that does not match the driver. Run: tunesmith doctor"
        return Check("device", State.WARNING, f"{found[0].name}, unused", f"{advice} --fix-cuda.")
    if facts.bf16:
        return Check("device", State.OK, f"CPU with {psutil.cpu_count(logical=False) or 1} cores; bf16")
    advice = "Training computes in fp32, which is slower and takes more memory."
    return Check("device", State.WARNING, "CPU without bf16 (avx512_bf16 or AMX)", advice)


def check_quantization(facts: TorchFacts) -> Check:
    """Can bitsandbytes store a model in 4 bits here?"""
    if facts.quantises is None:
        return Check("bitsandbytes", State.WARNING, "not asked, as torch is missing", "Mend torch first.")
    if facts.quantises:
        advice = "Only qlora, lora-8bit and 8-bit optimizers need it; `tunesmith doctor --fix` installs it again."
        return Check("bitsandbytes", State.WARNING, facts.quantises, advice)
    return Check("bitsandbytes", State.OK, f"{metadata.version('bitsandbytes')}; 4-bit and 8-bit training")


CHECKS: Final[tuple[Callable[[Settings], Check], ...]] = (
    check_python,
    check_packages,
    check_home,
    check_disk,
    check_memory,
    check_leftovers,
    check_hub,
)
"""The checks that need no torch."""
