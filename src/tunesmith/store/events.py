"""What jobs and their runs said, in one order for whoever listens: the id of an event is the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select

from tunesmith.store import tables

events = tables.events
AT_ONCE: Final = 500
"""Rows of one statement; databases allow some thousands of values in it."""


@dataclass(frozen=True)
class StoredEvent:
    """An event of a job."""

    id: int
    """Counts up over all jobs; whoever has read up to an id misses nothing that comes after it."""
    org: str
    job: str
    run: str | None
    seq: int | None
    """Its number in the run's own log."""
    time: float
    kind: str
    body: dict[str, Any]


@dataclass(frozen=True)
class NewEvent:
    """An event to be stored."""

    org: str
    job: str
    time: float
    kind: str
    body: dict[str, Any]
    run: str | None = None
    seq: int | None = None


def add(connection: Connection, new: Sequence[NewEvent]) -> None:
    """Store events in their order. On PostgreSQL the caller holds ``Database.order_events`` in this transaction."""
    # One statement for many rows, never one row after another: psycopg sends those as a pipeline, after which
    # PostgreSQL lets a transaction idle for ever, and whoever is stopped in it keeps all others waiting.
    for first in range(0, len(new), AT_ONCE):
        connection.execute(insert(events).values([vars(event) for event in new[first : first + AT_ONCE]]))


def after(
    connection: Connection, cursor: int, *, org: str | None = None, job: str | None = None, limit: int = 500
) -> list[StoredEvent]:
    """Return the events after a cursor, the oldest first; of one organisation or one job where these are named."""
    chosen = select(events).where(events.c.id > cursor).order_by(events.c.id).limit(limit)
    if org is not None:
        chosen = chosen.where(events.c.org == org)
    if job is not None:
        chosen = chosen.where(events.c.job == job)
    return [StoredEvent(**row._mapping) for row in connection.execute(chosen)]


def latest(connection: Connection, job: str, limit: int) -> list[StoredEvent]:
    """Return the last events of a job, the oldest of them first."""
    chosen = select(events).where(events.c.job == job).order_by(events.c.id.desc()).limit(limit)
    return [StoredEvent(**row._mapping) for row in connection.execute(chosen)][::-1]


def before(connection: Connection, cursor: int | None, *, job: str, limit: int) -> list[StoredEvent]:
    """Return the events of a job before a cursor, or from its end, the newest first."""
    chosen = select(events).where(events.c.job == job).order_by(events.c.id.desc()).limit(limit)
    if cursor is not None:
        chosen = chosen.where(events.c.id < cursor)
    return [StoredEvent(**row._mapping) for row in connection.execute(chosen)]


def newest_of(connection: Connection, run: str, kind: str, limit: int) -> list[StoredEvent]:
    """Return the last events of a kind that a run said, the oldest of them first."""
    chosen = select(events).where(events.c.run == run, events.c.kind == kind).order_by(events.c.seq.desc()).limit(limit)
    return [StoredEvent(**row._mapping) for row in connection.execute(chosen)][::-1]


def newest(connection: Connection) -> int:
    """Return the cursor behind everything there is."""
    return int(connection.execute(select(func.coalesce(func.max(events.c.id), 0))).scalar_one())


def remove(connection: Connection, job: str) -> None:
    """Forget what a job and its runs said."""
    connection.execute(delete(events).where(events.c.job == job))
