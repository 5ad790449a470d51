"""Jobs whose supervisor is gone: a living run is followed, an ended one concluded, one that never began begun again.

On the machine of the lost supervisor only the proof of its death frees a job; on another one, the end of its lease.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import handle_of
from tunesmith.runs.launch import abandon
from tunesmith.runs.liveness import Process, is_alive
from tunesmith.service.supervisor.ends import ASKED_FOR, forget_run, leave
from tunesmith.service.supervisor.holding import Bench, Holding
from tunesmith.service.supervisor.preparing import follow_up, prepare
from tunesmith.spec.errors import DatabaseUnusable
from tunesmith.spec.states import RunState
from tunesmith.store import claims, machines
from tunesmith.store import events as stored_events
from tunesmith.store import jobs as stored_jobs
from tunesmith.store import runs as stored_runs
from tunesmith.store.claims import Lease
from tunesmith.store.jobs import Job
from tunesmith.store.machines import Device, Server

log = logging.getLogger(__name__)


def is_gone(server: Server | None) -> bool:
    """Whether a server of this machine has ended: it said so, or its process is no more."""
    if server is None or server.stopped_at is not None:
        return True
    return not is_alive(Process(pid=server.pid, started=server.started, boot=server.boot))


def adopt_all(bench: Bench, mine: Mapping[str, Holding], until: float) -> list[Holding]:
    """Take over every job that nobody works on any more; those that go on here are returned."""
    database = bench.service.database
    with database.read() as connection:
        now = database.now(connection)
        servers = {server.id: server for server in machines.servers_of(connection)}
        lost = [lease for lease in claims.all_leases(connection) if _is_lost(bench, lease, mine, servers, now)]
    adopted = [_adopted(bench, lease, until) for lease in lost]
    return [holding for holding in adopted if holding is not None]


def _is_lost(
    bench: Bench, lease: Lease, mine: Mapping[str, Holding], servers: Mapping[str, Server], now: float
) -> bool:
    if lease.owner == bench.server:
        return lease.job not in mine  # The claim went through, and word of it was lost with the connection.
    owner = servers.get(lease.owner or "")
    here = owner is None or owner.machine == bench.machine or bench.service.database.is_sqlite
    if here and is_gone(owner):
        return True
    return not here and lease.until is not None and lease.until < now


def _adopted(bench: Bench, lease: Lease, until: float) -> Holding | None:
    """Take a job over; where that goes wrong the others are taken over all the same."""
    try:
        return _adopt(bench, lease, until)
    except (SQLAlchemyError, DatabaseUnusable):
        raise
    except Exception:
        log.exception("Job %s could not be taken over; it is tried again", lease.job)
        return None


def _adopt(bench: Bench, lease: Lease, until: float) -> Holding | None:
    """Take a job over; None if somebody else did, or if it goes on from the queue."""
    with bench.service.database.write() as connection:
        devices = machines.held_by(connection, lease.job)
        if not claims.adopt(connection, lease.job, token=lease.token, owner=bench.server, until=until):
            return None
        taken = stored_jobs.get(connection, lease.job, with_plan=True)
        assert taken is not None
        holding = _holding(taken, devices)
        run = stored_runs.get(connection, taken.run) if taken.run else None
        # A run that the command line started has no devices of ours; it goes on where its folder is.
        places = [device.machine for device in devices] or ([run.machine] if taken.indexed and run else [])
        # A database in a file is on this machine, whatever the machine was called before.
        here = bench.service.database.is_sqlite or all(place == bench.machine for place in places)
        if not here and not devices and taken.request not in ASKED_FOR:
            connection.rollback()  # What somebody started by hand on another machine is that machine's.
            return None
        if not places or not here:
            _send_back(bench, holding, connection, taken)
            return None
    log.info("Job %s was left by %s and goes on here", lease.job, lease.owner)
    _take_up(bench, holding, run.id if run is not None and run.ended_at is None else None)
    return None if holding.over else holding


def _holding(job: Job, devices: Sequence[Device]) -> Holding:
    kind = devices[0].kind if devices else job.device
    numbers = [device.number for device in devices]
    return Holding(job, job.lease_token, kind, numbers, all(device.real for device in devices))


def _send_back(bench: Bench, holding: Holding, connection: Connection, job: Job) -> None:
    """Queue a job whose machine is silent: it goes on as another run from its newest checkpoint that verifies."""
    now = bench.service.database.now(connection)
    run = stored_runs.get(connection, job.run) if job.run else None
    if run is not None and run.launched_at is None:
        forget_run(bench, connection, job, now)
    elif run is not None and run.ended_at is None:
        reason = f"machine {run.machine} fell silent"
        stored_runs.change(connection, run.id, state=str(RunState.FAILED), reason=reason, ended_at=now)
    leave(bench, holding, connection, job, now)


def _take_up(bench: Bench, holding: Holding, run_id: str | None) -> None:
    """Go on where the lost supervisor stopped."""
    run = RunFolder(bench.service.settings.runs_dir / run_id) if run_id else None
    if run is None or not _was_launched(run):
        prepare(bench, holding)
        return
    with bench.service.database.read() as connection:
        steps = stored_events.newest_of(connection, run.id, "step", 10)
        holding.losses = [event.body["loss"] for event in steps]
    follow_up(bench, holding, run)


def _was_launched(run: RunFolder) -> bool:
    """Whether a run's processes live or lived; if not, they never will."""
    return handle_of(run) is not None or not abandon(run)
