"""Room for an organisation's bytes: what it has, and whether more may come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection

from tunesmith.spec.errors import QuotaExceeded
from tunesmith.store import accounts, datasets, files, models, uploads

if TYPE_CHECKING:
    from tunesmith.service.context import Service


def used(connection: Connection, org: str) -> int:
    """Return the bytes of an organisation's files, data sets and models, and those that uploads have announced."""
    return sum(noun.bytes_of(connection, org) for noun in (files, datasets, models, uploads))


def left(connection: Connection, org: str, service: Service) -> int | None:
    """Return how many bytes more an organisation may have; None where nothing limits it."""
    return _left(accounts.organisation(connection, org), connection, org, service)


def admit(connection: Connection, org: str, service: Service, more: int) -> None:
    """Let so many bytes in, in the transaction that stores what they are of; nobody else is let in meanwhile.

    Raises:
        QuotaExceeded: the organisation may not have that many.
    """
    room = _left(accounts.hold(connection, org), connection, org, service)
    if room is not None and more > room:
        raise QuotaExceeded(org, "bytes", f"{room:,} are left, and these are {more:,} or more")


def _left(organisation: accounts.Organisation | None, connection: Connection, org: str, service: Service) -> int | None:
    own = organisation.max_bytes if organisation is not None else None
    most = own if own is not None else service.settings.max_bytes
    return None if most is None else max(0, most - used(connection, org))
