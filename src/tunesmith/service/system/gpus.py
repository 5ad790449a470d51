"""The GPUs that the servers have registered."""

from __future__ import annotations

from tunesmith.service.context import Service
from tunesmith.store import machines


def registered_gpus(service: Service) -> int:
    """Count them; what stands for a GPU on a machine that has none is not one."""
    with service.database.read() as connection:
        return sum(device.kind == "gpu" and device.real for device in machines.devices_of(connection))
