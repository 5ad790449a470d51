"""Machines, the servers on them, and the devices that they lend to jobs."""

from __future__ import annotations

from fastapi import APIRouter

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.words import OURS
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.system import overview
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/machines", tags=["machines"])


class DeviceView(Part):
    """A device, as jobs take it."""

    kind: str
    """cpu, gpu, or side: a place for an evaluation or an export, which takes none from a training."""
    number: int
    name: str
    memory: int
    """Bytes."""
    real: bool
    """False: it stands for a GPU on a machine that has none."""
    busy: bool
    job: str | None
    """Who has it; told to the operator alone."""


class ServerView(Part):
    """A process that serves."""

    id: str
    role: str
    device: str
    url: str | None
    """Told to the operator alone."""
    started_at: float
    seen_at: float
    stopped_at: float | None


class MachineView(Part):
    """A machine."""

    id: str
    seen_at: float
    silent: float
    """Seconds since it was seen."""
    servers: list[ServerView]
    devices: list[DeviceView]


class Machines(Part):
    """All machines that share the database."""

    machines: list[MachineView]


@router.get("")
def listed(service: Serving, by: Asker) -> Machines:
    """List the machines with their servers and devices."""
    park = overview.park(service)
    return Machines(machines=[_machine(machine, park, by) for machine in park.machines])


def _machine(machine: overview.Machine, park: overview.Park, by: Principal) -> MachineView:
    return MachineView(
        id=machine.id,
        seen_at=machine.seen_at,
        silent=max(0.0, park.now - machine.seen_at),
        servers=[_server(server, by) for server in park.servers if server.machine == machine.id],
        devices=[_device(device, by) for device in park.devices if device.machine == machine.id],
    )


def _server(server: overview.Server, by: Principal) -> ServerView:
    facts = {name: getattr(server, name) for name in ServerView.model_fields}
    return ServerView(**{**facts, "url": server.url if by.is_operator else None})


def _device(device: overview.Device, by: Principal) -> DeviceView:
    facts = {name: getattr(device, name) for name in ("kind", "number", "name", "memory", "real")}
    job = OURS.id_form + device.job if device.job is not None and by.is_operator else None
    return DeviceView(**facts, busy=device.job is not None, job=job)
