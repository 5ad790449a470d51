from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text

from stored_rows import have_devices, queue_job
from tunesmith.service.context import Service
from tunesmith.spec.errors import LeaseLost
from tunesmith.spec.states import Request, RunState
from tunesmith.store import claims, jobs, machines
from tunesmith.store.claims import Group, Place
from tunesmith.store.database import Database
from tunesmith.store.jobs import Job

CLAIMER = Path(__file__).with_name("claimer.py")


def take(
    database: Database, number: int, *, kind: str = "cpu", slots: int = 1, owner: str = "me", most: int | None = None
) -> Job | None:
    """Claim a job as a supervisor does."""
    with database.write() as connection:
        place = Place("m", kind, slots)
        job = claims.claim(connection, number, place, owner=owner, now=100.0, until=130.0, max_running=most)
        if job is None:
            connection.rollback()
        return job


def test_a_claim_takes_the_job_and_its_devices(service: Service) -> None:
    with service.database.write() as connection:
        have_devices(connection, gpu=3)
        number = queue_job(connection, device="gpu", slots=2).number
    job = take(service.database, number, kind="gpu", slots=2)
    assert job is not None and (job.state, job.lease_owner, job.lease_token) == (RunState.PREPARING, "me", 1)
    assert job.lease_until == 130.0
    with service.database.read() as connection:
        assert [(each.number, each.org, each.since) for each in machines.held_by(connection, job.id)] == [
            (0, "a", 100.0),
            (1, "a", 100.0),
        ]
        assert machines.counts(connection) == {("m", "gpu"): (3, 2)}
    assert take(service.database, number, kind="gpu", slots=1, owner="other") is None


def test_a_gang_that_does_not_fit_takes_nothing(service: Service) -> None:
    with service.database.write() as connection:
        have_devices(connection, gpu=2)
        number = queue_job(connection, device="gpu", slots=3).number
    assert take(service.database, number, kind="gpu", slots=3) is None
    with service.database.read() as connection:
        assert machines.counts(connection) == {("m", "gpu"): (2, 0)}
        assert jobs.counts(connection) == {("a", RunState.QUEUED): 1}


def test_no_more_jobs_of_an_organisation_run_than_may(service: Service) -> None:
    with service.database.write() as connection:
        have_devices(connection, cpu=3)
        numbers = [queue_job(connection).number for _ in range(3)]
    assert [take(service.database, number, most=2) is not None for number in numbers] == [True, True, False]


def test_groups_tell_what_is_queued_and_due(service: Service) -> None:
    with service.database.write() as connection:
        first = queue_job(connection)
        queue_job(connection)
        other = queue_job(connection, org="b", device="gpu", slots=2, priority=3)
        later = queue_job(connection, org="c")
        jobs.change(connection, later.id, available_at=50.0)
        jobs.move(connection, queue_job(connection).id, RunState.CANCELLED)
        found = claims.groups(connection, now=10.0)
    assert sorted(found, key=lambda each: each.org) == [
        Group(0, "a", "cpu", 1, first.number, 2),
        Group(3, "b", "gpu", 2, other.number, 1),
    ]


def test_the_choice_of_the_next_job_reads_the_index_alone(service: Service) -> None:
    if not service.database.is_sqlite:
        pytest.skip("PostgreSQL plans by statistics that a test does not have")
    with service.database.read() as connection:
        query = (
            "EXPLAIN QUERY PLAN SELECT priority, org, device, slots, min(number), count(*) FROM jobs "
            "WHERE state = 'queued' AND available_at <= 1 GROUP BY priority, org, device, slots"
        )
        plan = " ".join(str(row[3]) for row in connection.execute(text(query)))
    assert "COVERING INDEX ix_jobs_claim (state=?)" in plan and "TEMP B-TREE" not in plan


def test_every_write_of_who_has_lost_the_job_is_refused(service: Service) -> None:
    with service.database.write() as connection:
        have_devices(connection, cpu=1)
        number = queue_job(connection).number
    job = take(service.database, number)
    assert job is not None
    with service.database.write() as connection:
        assert claims.held(connection, job.id, 1).id == job.id
        assert claims.adopt(connection, job.id, token=1, owner="next", until=200.0)
        assert not claims.adopt(connection, job.id, token=1, owner="third", until=200.0)
        assert [device.token for device in machines.held_by(connection, job.id)] == [2]
        with pytest.raises(LeaseLost):
            claims.held(connection, job.id, 1)
        assert not jobs.change(connection, job.id, token=1, reason="stale")
        assert not jobs.move(connection, job.id, RunState.FAILED, token=1)
        assert claims.held(connection, job.id, 2).reason is None


def test_leases_are_renewed_and_tell_what_is_asked(service: Service) -> None:
    with service.database.write() as connection:
        have_devices(connection, cpu=2)
        numbers = [queue_job(connection).number for _ in range(2)]
    first, second = (take(service.database, number) for number in numbers)
    assert first is not None and second is not None
    with service.database.write() as connection:
        jobs.change(connection, first.id, request=str(Request.PAUSE), requested_at=7.0)
        jobs.move(connection, second.id, RunState.FAILED)
        claims.renew(connection, "me", 999.0)
        (lease,) = claims.leases(connection, "me")
        assert (lease.job, lease.until, lease.request, lease.requested_at) == (first.id, 999.0, Request.PAUSE, 7.0)
        assert claims.release(connection, first.id) == [100.0] and claims.release(connection, first.id) == []


def test_what_jobs_wait_for_is_written_where_it_changes(service: Service) -> None:
    with service.database.write() as connection:
        ids = [queue_job(connection).id for _ in range(3)]
        (group,) = claims.groups(connection, 1.0)
        assert claims.told_otherwise(connection, group, None, 1.0, 10) == []
        assert claims.told_otherwise(connection, group, "Busy.", 1.0, 2) == ids[:2]
        claims.note_waiting(connection, ids[:2], "Busy.")
        assert claims.told_otherwise(connection, group, "Busy.", 1.0, 10) == ids[2:]
        assert claims.told_otherwise(connection, group, None, 1.0, 10) == ids[:2]


def test_four_processes_never_take_a_job_or_a_device_twice(service: Service, database_url: str) -> None:
    with service.database.write() as connection:
        have_devices(connection, cpu=6)
        for _ in range(120):
            queue_job(connection, now=time.time())
    command = [sys.executable, str(CLAIMER), database_url]
    claimers = [
        subprocess.Popen([*command, f"owner-{number}"], stdout=subprocess.PIPE, text=True) for number in range(4)
    ]
    taken = [line.split() for claimer in claimers for line in claimer.communicate(timeout=120)[0].splitlines()]
    assert [claimer.returncode for claimer in claimers] == [0] * 4
    assert len(taken) == 120 and set(Counter(job for _, job, *_ in taken).values()) == {1}
    with service.database.read() as connection:
        assert machines.counts(connection) == {("m", "cpu"): (6, 0)}
        assert jobs.counts(connection) == {("a", RunState.SUCCEEDED): 120}
