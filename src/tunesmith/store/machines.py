"""Machines, the servers that run on them, and the devices that they lend to jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from tunesmith.store import tables
from tunesmith.store.conflicts import insert_unless_there

machines, servers, devices = tables.machines, tables.servers, tables.devices


@dataclass(frozen=True)
class Server:
    """A process that serves: requests, jobs, or both."""

    id: str
    machine: str
    role: str
    """api, worker or all."""
    device: str
    """Which jobs it claims: cpu, gpu or any."""
    url: str | None
    pid: int
    started: str | None
    """When the process started, as its system counts."""
    boot: str | None
    """Which start of its machine the process belongs to."""
    started_at: float
    seen_at: float
    stopped_at: float | None
    """When it ended by itself. None: it lives, or died without a word."""


@dataclass(frozen=True)
class Slot:
    """One device of a machine, as it is offered."""

    name: str
    memory: int
    """Bytes."""
    real: bool = True
    """False: it stands for a GPU on a machine that has none."""


@dataclass(frozen=True)
class Device:
    """One device of a machine, and who has it."""

    machine: str
    kind: str
    """cpu, gpu or side."""
    number: int
    name: str
    memory: int
    real: bool
    withdrawn: bool
    """Offered no more, and still held by a job."""
    job: str | None
    org: str | None
    token: int | None
    since: float | None
    """When the job took it."""


@dataclass(frozen=True)
class Machine:
    """A machine that servers run on."""

    id: str
    created_at: float
    seen_at: float


def see(connection: Connection, machine: str, now: float) -> None:
    """Note that a machine lives; it is made when it is seen for the first time."""
    if connection.execute(update(machines).where(machines.c.id == machine).values(seen_at=now)).rowcount == 0:
        insert_unless_there(connection, machines, id=machine, created_at=now, seen_at=now)


def listed(connection: Connection) -> list[Machine]:
    """Return every machine."""
    return [Machine(**row._mapping) for row in connection.execute(select(machines).order_by(machines.c.id))]


def forget(connection: Connection, before: float) -> None:
    """Drop the machines that were not seen since a time, their servers and devices, unless a job still holds one."""
    held = select(devices.c.machine).where(devices.c.job.is_not(None))
    connection.execute(delete(machines).where(machines.c.seen_at < before, machines.c.id.not_in(held)))


def add_server(connection: Connection, server: Server) -> None:
    """Store a server; its machine is there."""
    connection.execute(insert(servers).values(vars(server)))


def see_server(connection: Connection, id: str, now: float) -> bool:
    """Note that a server lives; return whether it is known."""
    done = connection.execute(update(servers).where(servers.c.id == id).values(seen_at=now, stopped_at=None))
    return done.rowcount == 1


def stop_server(connection: Connection, id: str, now: float) -> None:
    """Note that a server has ended by itself."""
    connection.execute(update(servers).where(servers.c.id == id).values(stopped_at=now))


def remove_server(connection: Connection, id: str) -> None:
    """Forget a server that is gone."""
    connection.execute(delete(servers).where(servers.c.id == id))


def servers_of(connection: Connection, machine: str | None = None) -> list[Server]:
    """Return the servers, of one machine where it is named, the oldest first."""
    chosen = select(servers).order_by(servers.c.started_at, servers.c.id)
    if machine is not None:
        chosen = chosen.where(servers.c.machine == machine)
    return [Server(**row._mapping) for row in connection.execute(chosen)]


def offer(connection: Connection, machine: str, kind: str, slots: Sequence[Slot]) -> None:
    """Have exactly these devices of a kind on a machine; one that a job holds goes when it is given back."""
    there = {device.number: device for device in devices_of(connection, machine) if device.kind == kind}
    for number, slot in enumerate(slots):
        here = and_(devices.c.machine == machine, devices.c.kind == kind, devices.c.number == number)
        if number in there:
            connection.execute(update(devices).where(here).values(**vars(slot), withdrawn=False))
        else:
            insert_unless_there(connection, devices, machine=machine, kind=kind, number=number, **vars(slot))
    surplus = and_(devices.c.machine == machine, devices.c.kind == kind, devices.c.number >= len(slots))
    connection.execute(update(devices).where(surplus).values(withdrawn=True))
    connection.execute(delete(devices).where(surplus, devices.c.job.is_(None)))


def devices_of(connection: Connection, machine: str | None = None) -> list[Device]:
    """Return the devices, of one machine where it is named."""
    chosen = select(devices).order_by(devices.c.machine, devices.c.kind, devices.c.number)
    if machine is not None:
        chosen = chosen.where(devices.c.machine == machine)
    return [_device(row) for row in connection.execute(chosen)]


def held_by(connection: Connection, job: str) -> list[Device]:
    """Return the devices that a job holds."""
    chosen = select(devices).where(devices.c.job == job).order_by(devices.c.machine, devices.c.number)
    return [_device(row) for row in connection.execute(chosen)]


def counts(connection: Connection) -> dict[tuple[str, str], tuple[int, int]]:
    """Return, by machine and kind, how many devices there are and how many of them jobs hold."""
    chosen = select(devices.c.machine, devices.c.kind, func.count(), func.count(devices.c.job))
    rows = connection.execute(chosen.group_by(devices.c.machine, devices.c.kind))
    return {(machine, kind): (there, held) for machine, kind, there, held in rows}


def _device(row: Any) -> Device:
    return Device(**row._mapping)
