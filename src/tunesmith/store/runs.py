"""Runs: the attempts at a job, each with its folder, its process and how far its log has been read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, tuple_, update

from tunesmith.spec.states import RunState
from tunesmith.store import tables

runs = tables.runs
AT_ONCE: Final = 500
"""Ids that one question names; databases allow some thousands."""


@dataclass(frozen=True)
class StoredRun:
    """A run as the database knows it; the folder knows more."""

    id: str
    job: str
    org: str
    kind: str
    attempt: int
    """Counts the runs of the job, from 1."""
    machine: str
    """Where its folder and its processes are."""
    device: str
    slots: int
    state: RunState
    reason: str | None
    handle: dict[str, Any] | None
    exit: int | None
    step: int | None
    event_offset: int
    """Bytes of its event log that are stored."""
    event_seq: int
    """Number of the last of them."""
    created_at: float
    launched_at: float | None
    heartbeat_at: float | None
    """When it last said anything."""
    ended_at: float | None
    peak_memory: int | None


def add(connection: Connection, run: StoredRun) -> None:
    """Store a run: before its folder is made, so that no folder of a job is unknown."""
    connection.execute(insert(runs).values({**vars(run), "state": str(run.state)}))


def get(connection: Connection, id: str) -> StoredRun | None:
    """Return a run; None if there is none of that id."""
    row = connection.execute(select(runs).where(runs.c.id == id)).one_or_none()
    return _run(row._mapping) if row is not None else None


def known(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Return those of the ids that are a run's."""
    found: set[str] = set()
    for first in range(0, len(ids), AT_ONCE):
        chosen = select(runs.c.id).where(runs.c.id.in_(ids[first : first + AT_ONCE]))
        found |= set(connection.execute(chosen).scalars())
    return found


def of_job(connection: Connection, job: str) -> list[StoredRun]:
    """Return the runs of a job, the first one first."""
    chosen = select(runs).where(runs.c.job == job).order_by(runs.c.attempt, runs.c.created_at)
    return [_run(row._mapping) for row in connection.execute(chosen)]


def listed(
    connection: Connection, *, org: str | None, job: str | None, before: StoredRun | None, limit: int
) -> list[StoredRun]:
    """Return runs, the newest first; of one organisation or one job where these are named, made before another run."""
    chosen = select(runs).order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(limit)
    if org is not None:
        chosen = chosen.where(runs.c.org == org)
    if job is not None:
        chosen = chosen.where(runs.c.job == job)
    if before is not None:
        chosen = chosen.where(tuple_(runs.c.created_at, runs.c.id) < tuple_(before.created_at, before.id))
    return [_run(row._mapping) for row in connection.execute(chosen)]


def change(connection: Connection, id: str, **values: Any) -> None:
    """Set columns of a run, in the transaction in which the lease of its job was checked."""
    connection.execute(update(runs).where(runs.c.id == id).values(**values))


def advance(connection: Connection, id: str, *, start: int, end: int, **values: Any) -> bool:
    """Note that a run's log is stored up to ``end``, if it was up to ``start``; return whether it was."""
    read = update(runs).where(runs.c.id == id, runs.c.event_offset == start)
    return connection.execute(read.values(event_offset=end, **values)).rowcount == 1


def remove(connection: Connection, id: str) -> None:
    """Forget a run that never came to be."""
    connection.execute(delete(runs).where(runs.c.id == id))


def _run(values: Any) -> StoredRun:
    return StoredRun(**{**values, "state": RunState(values["state"])})
