"""Machines, servers and devices, and the numbers of the queue."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tunesmith.service.context import Service
from tunesmith.spec.states import RunState
from tunesmith.store import jobs as stored_jobs
from tunesmith.store import machines as stored_machines
from tunesmith.store.machines import Device, Machine, Server

__all__ = ["Device", "Machine", "Server"]


@dataclass(frozen=True)
class Park:
    """Everything that jobs can run on."""

    now: float
    """The database's clock, which ``seen_at`` is by."""
    machines: list[Machine]
    servers: list[Server]
    devices: list[Device]


@dataclass(frozen=True)
class Numbers:
    """The queue in numbers."""

    jobs: dict[tuple[str, RunState], int]
    """By organisation and state."""
    waits: dict[str, float]
    """Seconds that the oldest queued job of each organisation has waited."""
    devices: dict[str, int]
    """By kind."""
    held: dict[str, int]
    """Of them those that jobs have."""


def park(service: Service) -> Park:
    """Return what there is."""
    with service.database.read() as connection:
        return Park(
            now=service.database.now(connection),
            machines=stored_machines.listed(connection),
            servers=stored_machines.servers_of(connection),
            devices=stored_machines.devices_of(connection),
        )


def numbers(service: Service) -> Numbers:
    """Count."""
    with service.database.read() as connection:
        now = service.database.now(connection)
        since = stored_jobs.queued_since(connection)
        jobs = stored_jobs.counts(connection)
        devices = stored_machines.devices_of(connection)
    return Numbers(
        jobs=jobs,
        waits={org: max(0.0, now - begun) for org, begun in since.items()},
        devices=dict(Counter(device.kind for device in devices)),
        held=dict(Counter(device.kind for device in devices if device.job is not None)),
    )
