"""How many jobs an organisation may have waiting, and how much device time it may use.

How many may run at once is asked where jobs are claimed (``service/supervisor/claiming.py``), bytes where they arrive
(``service/datasets/room.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from tunesmith.spec.errors import QuotaExceeded
from tunesmith.store import accounts, jobs, usage

if TYPE_CHECKING:
    from tunesmith.service.context import Service

WINDOW: Final = 30 * 24 * 3600.0
"""Seconds over which device-hours are counted."""


def admit(connection: Connection, org: str, service: Service) -> None:
    """Let one more job in, in the transaction that stores it.

    Raises:
        QuotaExceeded: the organisation has as many queued jobs as it may have, or has used up its device-hours.
    """
    own, settings = accounts.hold(connection, org), service.settings
    most = settings.max_queued if own is None or own.max_queued is None else own.max_queued
    if jobs.queued(connection, org, most) >= most:
        raise QuotaExceeded(org, "queued jobs", f"{most:,}")
    hours = settings.max_device_hours if own is None or own.max_device_hours is None else own.max_device_hours
    if hours is not None and used_hours(connection, org, service.database.now(connection)) >= hours:
        raise QuotaExceeded(org, "device-hours in 30 days", f"{hours:g}")


def used_hours(connection: Connection, org: str, now: float) -> float:
    """Return the device-hours of an organisation in the last 30 days, those of its running jobs among them."""
    running = sum(count * (now - since) for owner, _, count, since in usage.held(connection) if owner == org)
    return (usage.since(connection, now - WINDOW).get(org, 0.0) + running) / 3600
