"""Claims: what is queued, what is free, who has used how much, and the one transaction that takes a job."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from tunesmith.service.supervisor.holding import Bench, Holding, tell
from tunesmith.service.supervisor.scheduler import (
    GPU,
    SIDE,
    WINDOW,
    Choice,
    Offer,
    Standing,
    choose,
    standing,
    why_waiting,
)
from tunesmith.spec.states import RunState
from tunesmith.store import claims, machines, usage
from tunesmith.store.claims import Group, Place
from tunesmith.store.machines import Server

MONTH: Final = 30 * 24 * 3600.0
"""Seconds of the past over which device-hours are limited."""
GPU_LANE_LEAVES: Final = 300.0
"""Seconds after its end for which a server for GPUs still counts as registered: it may only be started anew."""
GPU_LANE_FORGOTTEN: Final = 24 * 3600.0
"""Seconds for which a server for GPUs that died without a word counts as registered."""
NOTES_AT_ONCE: Final = 500
"""Jobs that one transaction tells what they wait for, at most."""


@dataclass(frozen=True)
class Look:
    """What the database says of the queue, in one moment."""

    groups: list[Group]
    standings: dict[str, Standing]
    counts: dict[tuple[str, str], tuple[int, int]]
    """By machine and kind, how many devices there are and how many are held."""
    machines: dict[str, dict[str, Offer]]
    """By machine, what its servers that claim jobs lend."""
    silent: list[str]
    """Machines whose server for GPUs has not been heard of."""
    has_gpu_lane: bool


def look(bench: Bench, connection: Connection) -> Look | None:
    """Return what there is to choose from; None where nothing is queued."""
    now = bench.service.database.now(connection)
    groups = claims.groups(connection, now)
    if not groups:
        return None
    servers = [server for server in machines.servers_of(connection) if server.role != "api"]
    counts = machines.counts(connection)
    away = now - bench.service.settings.lease_seconds
    return Look(
        groups,
        standings(bench, connection, {group.org for group in groups}, now),
        counts,
        _offers([server for server in servers if server.stopped_at is None and server.seen_at >= away], counts),
        sorted({server.machine for server in _of_gpus(servers, counts, now) if server.seen_at < away}),
        has_gpu_lane=bool(_of_gpus(servers, counts, now)),
    )


def _offers(living: list[Server], counts: dict[tuple[str, str], tuple[int, int]]) -> dict[str, dict[str, Offer]]:
    found: dict[str, dict[str, Offer]] = defaultdict(dict)
    for server in living:
        for kind in (*(("cpu", "gpu") if server.device == "any" else (server.device,)), SIDE):
            there, held = counts.get((server.machine, kind), (0, 0))
            if there:
                found[server.machine][kind] = Offer(there, there - held)
    return found


def _of_gpus(servers: list[Server], counts: dict[tuple[str, str], tuple[int, int]], now: float) -> list[Server]:
    """Return the servers that lend GPUs, or would if they were there."""
    return [
        server
        for server in servers
        if server.device in (GPU, "any")
        and counts.get((server.machine, GPU), (0, 0))[0] > 0
        and now - server.seen_at < GPU_LANE_FORGOTTEN
        and (server.stopped_at is None or now - server.stopped_at < GPU_LANE_LEAVES)
    ]


def standings(bench: Bench, connection: Connection, orgs: set[str], now: float) -> dict[str, Standing]:
    """Return how organisations stand: what they have used, and whether a quota keeps them from more."""
    used, month = usage.since(connection, now - WINDOW), usage.since(connection, now - MONTH)
    held: dict[str, list[tuple[int, float]]] = defaultdict(list)
    trainings: dict[str, int] = defaultdict(int)
    for org, kind, count, since in usage.held(connection):
        held[org].append((count, since))
        trainings[org] += kind != SIDE
    limits = usage.limits(connection, orgs)
    found = {}
    for org in orgs:
        limit = limits[org]
        hours = (month.get(org, 0.0) + sum(count * (now - since) for count, since in held[org])) / 3600
        spent = _spent(bench, org, hours, limit.max_device_hours)
        found[org] = standing(
            used.get(org, 0.0), held[org], now=now, weight=limit.weight, refused_beside=spent,
            refused=_too_many(bench, org, trainings[org], limit.max_running) or spent,
        )  # fmt: skip
    return found


def _too_many(bench: Bench, org: str, running: int, max_running: int | None) -> str | None:
    most = bench.service.settings.max_running if max_running is None else max_running
    return f"Organisation '{org}' has as many jobs running as it may have ({most})." if running >= most else None


def _spent(bench: Bench, org: str, hours: float, max_hours: float | None) -> str | None:
    limit = bench.service.settings.max_device_hours if max_hours is None else max_hours
    if limit is None or hours < limit:
        return None
    return f"Organisation '{org}' has used up its device-hours of 30 days ({limit:g})."


def claim_next(bench: Bench, lanes: frozenset[str], until_seconds: float) -> Holding | None:
    """Take the job whose turn it is for the free devices of this machine; None if there is none."""
    database = bench.service.database
    with database.read() as connection:
        seen = look(bench, connection)
        if seen is None:
            return None
    mine = {kind: seen.counts[bench.machine, kind] for kind in lanes if (bench.machine, kind) in seen.counts}
    offers = {kind: Offer(there, there - held) for kind, (there, held) in mine.items()}
    choice = choose(seen.groups, seen.standings, offers, has_gpu_lane=seen.has_gpu_lane)
    return _take(bench, choice, until_seconds) if choice else None


def _take(bench: Bench, choice: Choice, until_seconds: float) -> Holding | None:
    database = bench.service.database
    place = Place(bench.machine, choice.kind, choice.slots)
    with database.write() as connection:
        now = database.now(connection)
        limit = usage.limits(connection, {choice.group.org})[choice.group.org].max_running
        most = bench.service.settings.max_running if limit is None else limit
        job = claims.claim(
            connection, choice.group.oldest, place, owner=bench.server, now=now, until=now + until_seconds,
            max_running=None if choice.kind == SIDE else most,
        )  # fmt: skip
        if job is None:
            connection.rollback()
            return None
        devices = machines.held_by(connection, job.id)
        tell(bench, connection, job, now, RunState.PREPARING, machine=bench.machine)
    numbers = [device.number for device in devices]
    return Holding(job, job.lease_token, choice.kind, numbers, all(device.real for device in devices))


def say_why(bench: Bench) -> None:
    """Have each queued job say what it waits for; only what has changed is written."""
    database = bench.service.database
    with database.read() as connection:
        seen = look(bench, connection)
        if seen is None:
            return
        now = database.now(connection)
        stale: dict[str | None, list[str]] = defaultdict(list)
        for group in seen.groups:
            why = why_waiting(group, seen.standings, seen.machines, seen.silent, has_gpu_lane=seen.has_gpu_lane)
            stale[why] += claims.told_otherwise(connection, group, why, now, NOTES_AT_ONCE)
    for why, ids in stale.items():
        if ids:
            with database.write() as connection:
                claims.note_waiting(connection, ids, why)
