"""Organisations, their members and keys."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from tunesmith.store import tables


def ensure_organisation(connection: Connection, id: str, now: float) -> None:
    """Make an organisation unless it is there."""
    there = connection.execute(select(tables.organisations.c.id).where(tables.organisations.c.id == id)).one_or_none()
    if there is None:
        connection.execute(insert(tables.organisations).values(id=id, created_at=now, weight=1.0))
