"""Jobs, devices and servers as rows, without a supervisor."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from tunesmith.spec.ids import new_job_id
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef
from tunesmith.store import accounts, jobs, machines
from tunesmith.store.jobs import Job, NewJob
from tunesmith.store.machines import Server, Slot

SPEC = JobSpec(model=ModelRef(source="/nowhere"), datasets=[DatasetRef(uri="/nowhere.jsonl")])


def queue_job(connection: Connection, *, org: str = "a", device: str = "cpu", now: float = 0.0, **facts: Any) -> Job:
    """Store a queued job, and its organisation where it is not there."""
    accounts.ensure_organisation(connection, org, now)
    new = NewJob(id=new_job_id(), org=org, door="api", name="one", spec=SPEC, folder="/", device=device, **facts)
    return jobs.add(connection, new, now)


def have_devices(connection: Connection, machine: str = "m", **counts: int) -> None:
    """Have a machine with so many devices of each kind."""
    machines.see(connection, machine, 0.0)
    for kind, count in counts.items():
        machines.offer(connection, machine, kind, [Slot(kind, 1)] * count)


def server(id: str, machine: str = "m", **facts: Any) -> Server:
    return Server(
        **{
            "id": id,
            "machine": machine,
            "role": "all",
            "device": "any",
            "url": None,
            "pid": 1,
            "started": None,
            "boot": None,
            "started_at": 0.0,
            "seen_at": 0.0,
            "stopped_at": None,
            **facts,
        }
    )
