"""Device time that organisations have used, added up by the hour."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from tunesmith.store import tables
from tunesmith.store.conflicts import insert_for

usage, devices, organisations = tables.usage, tables.devices, tables.organisations

HOUR: Final = 3600


@dataclass(frozen=True)
class Limit:
    """What an organisation may use; None: the server's setting holds."""

    weight: float
    """Its share of device time, beside the shares of others."""
    max_running: int | None
    max_device_hours: float | None


def add(connection: Connection, org: str, *, start: float, end: float, slots: int) -> None:
    """Charge an organisation for so many devices from one time to another."""
    for hour, seconds in hours_of(start, end):
        charged = insert_for(connection, usage).values(org=org, hour=hour, device_seconds=seconds * slots)
        more = usage.c.device_seconds + charged.excluded.device_seconds
        connection.execute(charged.on_conflict_do_update(index_elements=["org", "hour"], set_={"device_seconds": more}))


def hours_of(start: float, end: float) -> Iterator[tuple[int, float]]:
    """Split a time into the hours that it touches, counted since the epoch, and the seconds in each."""
    while start < end:
        hour = int(start // HOUR)
        until = min(end, (hour + 1) * HOUR)
        yield hour, until - start
        start = until


def since(connection: Connection, start: float) -> dict[str, float]:
    """Return the device-seconds that each organisation has been charged for since the hour of a time."""
    chosen = select(usage.c.org, func.sum(usage.c.device_seconds)).where(usage.c.hour >= int(start // HOUR))
    return {org: float(seconds) for org, seconds in connection.execute(chosen.group_by(usage.c.org))}


def held(connection: Connection) -> list[tuple[str, str, int, float]]:
    """Return of each job that holds devices its organisation, their kind, how many they are, and since when."""
    kind = (devices.c.org, devices.c.kind)
    chosen = select(*kind, func.count(), func.min(devices.c.since)).where(devices.c.job.is_not(None))
    return [tuple(row) for row in connection.execute(chosen.group_by(devices.c.job, *kind))]


def limits(connection: Connection, orgs: Collection[str]) -> dict[str, Limit]:
    """Return what organisations may use."""
    facts = (organisations.c.weight, organisations.c.max_running, organisations.c.max_device_hours)
    rows = connection.execute(select(organisations.c.id, *facts).where(organisations.c.id.in_(orgs)))
    return {org: Limit(weight, running, hours) for org, weight, running, hours in rows}
