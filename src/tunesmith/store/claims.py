"""Who has a job: claims, leases and the fencing token that every write of a supervisor carries."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, and_, delete, func, select, update

from tunesmith.spec.errors import LeaseLost
from tunesmith.spec.states import Request, RunState
from tunesmith.store import jobs as stored_jobs
from tunesmith.store import tables
from tunesmith.store.jobs import Job

jobs, devices, organisations = tables.jobs, tables.devices, tables.organisations

WORKED_ON: Final = (RunState.PREPARING, RunState.RUNNING)
"""States in which a supervisor has a job, and the job its devices."""
BESIDE: Final = "side"
"""Kind of the places that count for no limit of running jobs."""
_WORKED_ON: Final = [str(state) for state in WORKED_ON]


@dataclass(frozen=True)
class Group:
    """Queued jobs that differ in their age alone."""

    priority: int
    org: str
    device: str
    """any, cpu, gpu or side."""
    slots: int
    oldest: int
    """Number of the oldest of them."""
    count: int


@dataclass(frozen=True)
class Lease:
    """A job that a supervisor has."""

    job: str
    owner: str | None
    token: int
    until: float | None
    state: RunState
    request: Request
    requested_at: float | None


@dataclass(frozen=True)
class Place:
    """Devices that a claim wants: so many of a kind on a machine."""

    machine: str
    kind: str
    slots: int


_LEASES: Final = select(
    jobs.c.id, jobs.c.lease_owner, jobs.c.lease_token, jobs.c.lease_until, jobs.c.state, jobs.c.request,
    jobs.c.requested_at,
).where(jobs.c.state.in_(_WORKED_ON))  # fmt: skip


def groups(connection: Connection, now: float) -> list[Group]:
    """Return what is queued and may be claimed now, without looking into the jobs themselves."""
    kind = (jobs.c.priority, jobs.c.org, jobs.c.device, jobs.c.slots)
    chosen = select(*kind, func.min(jobs.c.number), func.count()).group_by(*kind)
    chosen = chosen.where(jobs.c.state == str(RunState.QUEUED), jobs.c.available_at <= now)
    return [Group(*row) for row in connection.execute(chosen)]


def claim(
    connection: Connection, number: int, place: Place, *, owner: str, now: float, until: float, max_running: int | None
) -> Job | None:
    """Take a queued job and all devices that it needs, or nothing at all (then None: somebody was faster).

    The caller rolls its transaction back on None. ``max_running`` is how many jobs of its organisation may run.
    """
    wanted = select(jobs.c.id, jobs.c.org, jobs.c.lease_token).where(jobs.c.number == number)
    job = connection.execute(wanted).one_or_none()
    if job is None:
        return None
    if max_running is not None and _running(connection, job.org) >= max_running:
        return None
    token = job.lease_token + 1
    free = and_(jobs.c.id == job.id, jobs.c.state == str(RunState.QUEUED), jobs.c.lease_token == job.lease_token)
    taken = update(jobs).where(free).values(
        state=str(RunState.PREPARING), lease_owner=owner, lease_token=token, lease_until=until,
        reason=None, waiting=None,
    )  # fmt: skip
    if connection.execute(taken).rowcount != 1 or not _take(
        connection, place, job.id, org=job.org, token=token, since=now
    ):
        return None
    return stored_jobs.get(connection, job.id, with_plan=True)


def _running(connection: Connection, org: str) -> int:
    """Count the trainings of an organisation that are worked on; who counts next waits until this claim is decided."""
    connection.execute(
        select(organisations.c.id).where(organisations.c.id == org).with_for_update(key_share=True)
    ).one()
    # By way of the devices, which are few: of jobs an organisation may have any number.
    chosen = select(func.count(devices.c.job.distinct())).where(devices.c.org == org, devices.c.kind != BESIDE)
    return int(connection.execute(chosen).scalar_one())


def _take(connection: Connection, place: Place, job: str, **facts: Any) -> bool:
    """Take free devices for a job, all that it needs or none."""
    here = and_(devices.c.machine == place.machine, devices.c.kind == place.kind, devices.c.job.is_(None))
    chosen = select(devices.c.number).where(here).order_by(devices.c.number).limit(place.slots)
    # On PostgreSQL devices that another claim is about to take are passed over; SQLite has one writer at a time.
    numbers = list(connection.execute(chosen.with_for_update(skip_locked=True)).scalars())
    if len(numbers) < place.slots:
        return False
    taken = update(devices).where(here, devices.c.number.in_(numbers)).values(job=job, **facts)
    return connection.execute(taken).rowcount == place.slots


def release(connection: Connection, job: str) -> list[float]:
    """Give back whatever devices a job holds; return since when it held each."""
    since = list(connection.execute(select(devices.c.since).where(devices.c.job == job)).scalars())
    connection.execute(delete(devices).where(devices.c.job == job, devices.c.withdrawn))
    connection.execute(update(devices).where(devices.c.job == job).values(job=None, org=None, token=None, since=None))
    return since


def held(connection: Connection, job: str, token: int) -> Job:
    """Return a job that is worked on under a lease, and have nobody else change it in this transaction.

    Raises:
        LeaseLost: the job has changed hands, or is worked on no more.
    """
    mine = and_(jobs.c.id == job, jobs.c.lease_token == token, jobs.c.state.in_(_WORKED_ON))
    if connection.execute(select(jobs.c.id).where(mine).with_for_update()).one_or_none() is None:
        raise LeaseLost(job)
    found = stored_jobs.get(connection, job)
    assert found is not None
    return found


def leases(connection: Connection, owner: str) -> list[Lease]:
    """Return what a supervisor has, and what is asked of it."""
    return [_lease(row) for row in connection.execute(_LEASES.where(jobs.c.lease_owner == owner))]


def renew(connection: Connection, owner: str, until: float) -> dict[str, int]:
    """Prolong every lease of a supervisor; return their tokens by job."""
    mine = and_(jobs.c.lease_owner == owner, jobs.c.state.in_(_WORKED_ON))
    renewed = update(jobs).where(mine).values(lease_until=until).returning(jobs.c.id, jobs.c.lease_token)
    return {job: token for job, token in connection.execute(renewed)}


def all_leases(connection: Connection) -> list[Lease]:
    """Return what all supervisors have, also those that are gone."""
    return [_lease(row) for row in connection.execute(_LEASES)]


def adopt(connection: Connection, job: str, *, token: int, owner: str, until: float) -> bool:
    """Take a job and its devices over from whoever had it under ``token``; False if somebody else was first."""
    seen = and_(jobs.c.id == job, jobs.c.lease_token == token, jobs.c.state.in_(_WORKED_ON))
    taken = update(jobs).where(seen).values(lease_owner=owner, lease_token=token + 1, lease_until=until)
    if connection.execute(taken).rowcount != 1:
        return False
    connection.execute(update(devices).where(devices.c.job == job).values(token=token + 1))
    return True


def told_otherwise(connection: Connection, group: Group, waiting: str | None, now: float, limit: int) -> list[str]:
    """Return the ids of jobs of a group that say something else of what they wait for, the oldest first."""
    said = jobs.c.waiting.is_not(None) if waiting is None else func.coalesce(jobs.c.waiting, "") != waiting
    chosen = select(jobs.c.id).where(
        jobs.c.state == str(RunState.QUEUED), jobs.c.priority == group.priority, jobs.c.org == group.org,
        jobs.c.device == group.device, jobs.c.slots == group.slots, jobs.c.available_at <= now, said,
    )  # fmt: skip
    return list(connection.execute(chosen.order_by(jobs.c.number).limit(limit)).scalars())


def note_waiting(connection: Connection, ids: Collection[str], waiting: str | None) -> None:
    """Have queued jobs say what they wait for."""
    queued = and_(jobs.c.id.in_(ids), jobs.c.state == str(RunState.QUEUED))
    connection.execute(update(jobs).where(queued).values(waiting=waiting))


def _lease(row: Any) -> Lease:
    id, owner, token, until, state, request, requested_at = row
    return Lease(id, owner, token, until, RunState(state), Request(request), requested_at)
