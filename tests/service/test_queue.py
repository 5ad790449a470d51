from __future__ import annotations

from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef
from tunesmith.spec.states import RunState

SPEC = JobSpec(model=ModelRef(source="somebody/model"), datasets=[DatasetRef(uri="somebody/rows")])


def test_a_queued_job_is_cancelled_at_once(service: Service) -> None:
    job = queue.submit(service, queue.Submission(spec=SPEC, door="api"), OPERATOR)
    assert queue.cancel(service, f"ftjob-{job.id}", OPERATOR).state is RunState.CANCELLED
    assert [event.body["state"] for event in queue.events_of(service, job)] == ["queued", "cancelled"]
