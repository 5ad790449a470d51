"""The devices that this machine lends to jobs."""

from __future__ import annotations

from tunesmith.planning.gpus import gpus
from tunesmith.service.supervisor.scheduler import SIDE
from tunesmith.settings import Settings
from tunesmith.spec.job import Resources
from tunesmith.store.machines import Slot


def offers_of(settings: Settings) -> dict[str, list[Slot]]:
    """Return the devices that a server lends, by kind.

    A server for GPUs on a machine that has none lends one place all the same: its jobs compute on the CPU, and say so.
    """
    offered: dict[str, list[Slot]] = {}
    if settings.role == "api":
        return offered
    if settings.device in ("cpu", "any"):
        offered["cpu"] = _cpu_slots(settings.cpu_slots)
    if settings.device in ("gpu", "any"):
        found = [Slot(gpu.name, gpu.total) for gpu in gpus()]
        if settings.device == "gpu" and not found:
            found = [Slot("CPU in place of a GPU", _cpu_slots(1)[0].memory, real=False)]
        if found:
            offered["gpu"] = found
    offered[SIDE] = [Slot("beside the trainings", _cpu_slots(1)[0].memory)] * settings.side_jobs
    return offered


def _cpu_slots(count: int) -> list[Slot]:
    from tunesmith.planning.machine import device_facts
    from tunesmith.spec.job import Device

    facts = device_facts(Resources(device=Device.CPU))
    return [Slot(facts.name, facts.memory)] * count
