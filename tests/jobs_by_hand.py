"""Jobs brought into any state without a supervisor, as one would write it down."""

from __future__ import annotations

from typing import Any

from tunesmith.service.context import Service
from tunesmith.service.jobs.queue import told
from tunesmith.spec.ids import job_id_of
from tunesmith.spec.states import JOB_OVER, RunState
from tunesmith.store import events as stored_events
from tunesmith.store import jobs as stored_jobs
from tunesmith.store.events import NewEvent

WAYS = {
    RunState.PREPARING: [RunState.PREPARING],
    RunState.RUNNING: [RunState.PREPARING, RunState.RUNNING],
    RunState.PAUSED: [RunState.PAUSED],
    RunState.SUCCEEDED: [RunState.PREPARING, RunState.RUNNING, RunState.SUCCEEDED],
    RunState.FAILED: [RunState.FAILED],
    RunState.CANCELLED: [RunState.CANCELLED],
}


def bring(service: Service, written: str, state: RunState, **values: Any) -> None:
    """Bring a queued job into a state; ``values`` are set with the last step."""
    id = job_id_of(written) or ""
    with service.database.write() as connection:
        now = service.database.now(connection)
        for step in WAYS[state]:
            last = {"ended_at": now if state in JOB_OVER else None, **values} if step is state else {"started_at": now}
            assert stored_jobs.move(connection, id, step, **last)
            job = stored_jobs.get(connection, id)
            assert job is not None
            service.database.order_events(connection)
            stored_events.add(connection, [told(job, now, state=step, reason=values.get("reason"))])


def say(service: Service, written: str, kind: str, **body: Any) -> None:
    """Have a run of a job say something."""
    id = job_id_of(written) or ""
    with service.database.write() as connection:
        job = stored_jobs.get(connection, id)
        assert job is not None
        service.database.order_events(connection)
        new = NewEvent(org=job.org, job=id, time=service.database.now(connection), kind=kind, body=body)
        stored_events.add(connection, [new])


def job_of(service: Service, written: str) -> stored_jobs.Job:
    """Return a job as it is stored."""
    with service.database.read() as connection:
        job = stored_jobs.get(connection, job_id_of(written) or "")
    assert job is not None
    return job


STEP = {"step": 2, "epoch": 0.5, "loss": 1.25, "learning_rate": 1e-4, "grad_norm": 1.0, "tokens": 10,
        "trained_tokens": 5, "seconds": 0.1, "tokens_per_second": 100.0, "memory_bytes": 1}  # fmt: skip
STARTED = {"step": 0, "total_steps": 4, "epochs": 1.0, "rows": 9, "validation_rows": 1, "trainable_parameters": 10,
           "parameters": 20, "tokens_per_epoch": 90}  # fmt: skip
