from __future__ import annotations

from pathlib import Path

import pytest

from sample_plan import sample_plan
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.spec.errors import ResumeDiffers
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef
from tunesmith.spec.states import RunState
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
