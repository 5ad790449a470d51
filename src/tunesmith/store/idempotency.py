"""Requests that came with an idempotency key, and what they were answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tunesmith.store import tables

kept = tables.idempotency


@dataclass(frozen=True)
class KeptRequest:
    """A request, by the key that it came with."""

    request: str
    """What it asked for, as a digest."""
    status: int | None
    """None while it is being answered."""
    answer: dict[str, Any] | None
    created_at: float


def begin(connection: Connection, org: str, key: str, request: str, now: float) -> bool:
    """Take a key for a request; False if it is taken. Of many at once exactly one takes it."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row = insert(kept).values(org=org, key=key, request=request, created_at=now)
    return connection.execute(row.on_conflict_do_nothing().returning(kept.c.key)).one_or_none() is not None


def get(connection: Connection, org: str, key: str) -> KeptRequest | None:
    """Return the request that took a key; None if none did."""
    columns = (kept.c.request, kept.c.status, kept.c.answer, kept.c.created_at)
    row = connection.execute(select(*columns).where(_is(org, key))).one_or_none()
    return KeptRequest(**row._mapping) if row is not None else None


def take_over(connection: Connection, org: str, key: str, before: float, now: float) -> bool:
    """Answer a request in place of whoever began to before a time and never did; False if somebody else is at it."""
    stale = and_(_is(org, key), kept.c.status.is_(None), kept.c.created_at < before)
    return connection.execute(update(kept).where(stale).values(created_at=now)).rowcount == 1


def finish(connection: Connection, org: str, key: str, status: int | None, answer: dict[str, Any] | None) -> None:
    """Keep what a request was answered."""
    connection.execute(update(kept).where(_is(org, key)).values(status=status, answer=answer))


def forget(connection: Connection, org: str, key: str) -> None:
    """Give a key free again: its request was not carried out."""
    connection.execute(delete(kept).where(_is(org, key)))


def forget_old(connection: Connection, before: float) -> None:
    """Give the keys free that were taken before a time."""
    connection.execute(delete(kept).where(kept.c.created_at < before))


def _is(org: str, key: str) -> Any:
    return and_(kept.c.org == org, kept.c.key == key)
