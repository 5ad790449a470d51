from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from sample_plan import sample_plan
from stored_rows import have_devices
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service
from tunesmith.service.jobs import deletion, queue
from tunesmith.spec.errors import ResumeDiffers, TunesmithError, WrongJobState
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef
from tunesmith.spec.states import RunState
from tunesmith.store import claims
from tunesmith.store import jobs as stored_jobs

SPEC = JobSpec(model=ModelRef(source="somebody/model"), datasets=[DatasetRef(uri="somebody/rows")])


def test_a_queued_job_is_cancelled_at_once(service: Service) -> None:
    job = queue.submit(service, queue.Submission(spec=SPEC, door="api"), OPERATOR)
    assert queue.cancel(service, f"ftjob-{job.id}", OPERATOR).state is RunState.CANCELLED
    assert [event.body["state"] for event in queue.events_of(service, job)] == ["queued", "cancelled"]


def planned_and_paused(service: Service) -> queue.Job:
    """A job whose run of 3 steps was paused."""
    job = queue.submit(service, queue.Submission(spec=SPEC, door="api"), OPERATOR)
    queue.pause(service, job.id, OPERATOR)
    plan = sample_plan(Path("lora"), max_steps=3)
    with service.database.write() as connection:
        stored_jobs.change(connection, job.id, plan=plan.model_dump(mode="json"))
    return job


def test_a_job_goes_on_to_larger_limits(service: Service) -> None:
    job = planned_and_paused(service)
    resumed = queue.resume(service, job.id, OPERATOR, {"recipe.max_steps": 5})
    assert (resumed.state, resumed.spec.recipe.max_steps) == (RunState.QUEUED, 5)
    plan = queue.get(service, job.id, OPERATOR, with_plan=True).plan
    assert plan is not None
    assert (plan.spec.recipe.max_steps, plan.steps) == (5, 5)
    assert resumed.spec.model_dump(exclude_unset=True)["recipe"] == {"max_steps": 5}, "what was open stays open"


def test_limits_that_are_not_larger_are_refused_and_change_nothing(service: Service) -> None:
    job = planned_and_paused(service)
    with pytest.raises(ResumeDiffers, match="was 3 and is 2"):
        queue.resume(service, job.id, OPERATOR, {"recipe.max_steps": 2})
    assert queue.get(service, job.id, OPERATOR).state is RunState.PAUSED


def test_a_job_that_was_never_planned_takes_any_limits(service: Service) -> None:
    job = queue.submit(service, queue.Submission(spec=SPEC, door="api"), OPERATOR)
    queue.pause(service, job.id, OPERATOR)
    resumed = queue.resume(service, job.id, OPERATOR, {"recipe.epochs": 2.0})
    assert resumed.spec.recipe.epochs == 2


@pytest.fixture
def meanwhile(service: Service) -> Iterator[Callable[..., Any]]:
    """Do something with a job in the middle of what another one does to it, and return how that ended."""
    with ThreadPoolExecutor(1) as pool:

        def do(change: Callable[[Connection], object], other: Callable[[], queue.Job]) -> queue.Job | TunesmithError:
            with service.database.write() as connection:
                change(connection)
                late = pool.submit(other)
                while not service.database.is_sqlite and not _somebody_waits(service):
                    pass
            try:
                return late.result()
            except TunesmithError as error:
                return error

        yield do


def _somebody_waits(service: Service) -> bool:
    with service.database.read() as connection:
        waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return bool(connection.execute(waiting).scalar_one())


def claimed(connection: Connection, job: queue.Job) -> None:
    have_devices(connection, cpu=1)
    place = claims.Place("m", "cpu", 1)
    assert claims.claim(connection, job.number, place, owner="me", now=0, until=9, max_running=None)


def test_who_cancels_a_job_that_is_just_being_claimed_asks_whoever_claims_it(
    service: Service, meanwhile: Callable[..., Any]
) -> None:
    job = queue.submit(service, queue.Submission(spec=SPEC, door="api"), OPERATOR)
    found = meanwhile(lambda connection: claimed(connection, job), lambda: queue.cancel(service, job.id, OPERATOR))
    assert (found.state, found.request) == (RunState.PREPARING, "cancel")


def test_a_job_that_is_resumed_twice_is_queued_once(service: Service, meanwhile: Callable[..., Any]) -> None:
    job = planned_and_paused(service)

    def resumed_and_claimed(connection: Connection) -> None:
        assert stored_jobs.move(connection, job.id, RunState.QUEUED)
        claimed(connection, job)

    found = meanwhile(resumed_and_claimed, lambda: queue.resume(service, job.id, OPERATOR))
    assert isinstance(found, WrongJobState)
    assert queue.get(service, job.id, OPERATOR).state is RunState.PREPARING


def test_a_job_that_is_just_being_resumed_is_not_deleted(service: Service, meanwhile: Callable[..., Any]) -> None:
    job = planned_and_paused(service)
    with service.database.write() as connection:
        stored_jobs.move(connection, job.id, RunState.QUEUED)
        stored_jobs.move(connection, job.id, RunState.FAILED)
    found = meanwhile(
        lambda connection: stored_jobs.move(connection, job.id, RunState.QUEUED),
        lambda: deletion.delete(service, job.id, OPERATOR),
    )
    assert isinstance(found, WrongJobState)
    assert queue.get(service, job.id, OPERATOR).state is RunState.QUEUED and queue.events_of(service, job)
