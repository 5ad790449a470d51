"""Jobs in the queue: submit, look up, list, pause, resume, cancel, delete. What every way in calls."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tunesmith.service.accounts.principal import Principal, Role
from tunesmith.service.context import Service
from tunesmith.service.idempotency import job_id
from tunesmith.spec.errors import NotFound, WrongJobState
from tunesmith.spec.ids import job_id_of
from tunesmith.spec.job import Device, JobSpec
from tunesmith.spec.states import JOB_OVER, Request, RunState
from tunesmith.store import events as stored_events
from tunesmith.store import jobs as stored_jobs
from tunesmith.store import runs as stored_runs
from tunesmith.store.events import NewEvent, StoredEvent
from tunesmith.store.jobs import TRAIN, Job, NewJob, Wanted
from tunesmith.store.runs import StoredRun

__all__ = ["Job", "StoredEvent", "StoredRun", "Submission", "Wanted"]

LANES: Final = {Device.AUTO: "any", Device.CPU: "cpu", Device.CUDA: "gpu"}
"""Which servers may claim a job, by the device that it asks for."""
TRAININGS: Final = (TRAIN,)
"""The kind of job that most ways in know."""
ALL_KINDS: Final = (TRAIN, "evaluate", "export")
MADE: Final = "job"
"""Kind of the events that the service itself says of a job."""


@dataclass(frozen=True)
class Submission:
    """What a way in asks for."""

    spec: JobSpec
    door: str
    """The way in: cli, api, train, training, llm, organisation, openai, inbox, pages."""
    org: str | None = None
    """None: the principal's own, or the default one."""
    folder: Path | None = None
    """What relative paths start from. None: the server's working folder."""
    priority: int = 0
    warnings: Sequence[str] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=job_id)
    """The canonical id that the job will have, for a way in that names folders after it."""


def submit(service: Service, wanted: Submission, by: Principal) -> Job:
    """Store a job for a supervisor to claim.

    Raises:
        Forbidden: the role or the organisation does not allow it.
        QuotaExceeded: the organisation has as many queued jobs as it may have.
        PathNotAllowed: the job names a path outside of what the organisation may use.
        ModelNotFound, DataNotFound: what it names is not there (names that may have to be fetched are not looked up).
    """
    from tunesmith.service.jobs.places import placed, start_folder

    by.needs(Role.MEMBER)
    org = by.acting_for(wanted.org)
    folder = start_folder(service, wanted.folder or Path.cwd(), org=org, by=by)
    spec = placed(service, wanted.spec, folder=folder, org=org, by=by)
    job = NewJob(
        id=wanted.id,
        org=org,
        door=wanted.door,
        name=spec.name or "job",
        spec=spec,
        folder=str(folder),
        device=LANES[spec.resources.device],
        slots=spec.resources.processes if spec.resources.device is Device.CUDA else 1,
        priority=wanted.priority,
        created_by=by.key,
        warnings=wanted.warnings,
        extra=wanted.extra,
    )
    return enqueue(service, job, by)


def enqueue(service: Service, job: NewJob, by: Principal) -> Job:
    """Store a job that is checked; one of its id that is there already is returned instead.

    Raises:
        QuotaExceeded: the organisation has as many queued jobs as it may have.
    """
    from tunesmith.service.accounts.organisations import ensure
    from tunesmith.service.accounts.quotas import admit

    with service.database.write() as connection:
        # A request that is carried out again, because its server died before it could answer, finds what it made.
        if (there := stored_jobs.get(connection, job.id)) is not None and there.org == job.org:
            return there
        ensure(connection, job.org, service, by)
        admit(connection, job.org, service)
        now = service.database.now(connection)
        stored = stored_jobs.add(connection, job, now)
        service.database.order_events(connection)
        stored_events.add(connection, [told(stored, now, state=RunState.QUEUED)])
    service.wake.set()
    return stored


def get(
    service: Service, written: str, by: Principal, *, with_plan: bool = False, kinds: Collection[str] = TRAININGS
) -> Job:
    """Return a job by any form of its id, or by the id of one of its runs.

    Only trainings are found unless ``kinds`` names others: most ways in know nothing else, and show what is trained.

    Raises:
        NotFound: there is none, or it belongs to an organisation that is not theirs.
    """
    with service.database.read() as connection:
        # No id holds what cannot be printed, and half a character cannot even be looked up.
        run = None if job_id_of(written) or not written.isprintable() else stored_runs.get(connection, written)
        id = run.job if run else job_id_of(written)
        job = stored_jobs.get(connection, id, with_plan=with_plan) if id else None
    if job is None or not by.sees(job.org) or job.kind not in kinds:
        raise NotFound("job", written)
    return job


def listed(service: Service, wanted: Wanted, by: Principal) -> list[Job]:
    """Return the jobs that a principal may see, the newest first.

    Raises:
        Forbidden: they ask for those of an organisation that is not theirs.
    """
    org = by.acting_for(wanted.org) if wanted.org or by.org else None
    with service.database.read() as connection:
        return stored_jobs.listed(connection, replace(wanted, org=org))


def runs_of(service: Service, job: Job) -> list[StoredRun]:
    """Return the runs of a job, the first one first."""
    with service.database.read() as connection:
        return stored_runs.of_job(connection, job.id)


def events_of(service: Service, job: Job, after: int = 0, limit: int = 500) -> list[StoredEvent]:
    """Return what a job and its runs said after a cursor."""
    with service.database.read() as connection:
        return stored_events.after(connection, after, job=job.id, limit=limit)


def events_before(service: Service, job: Job, cursor: int | None, limit: int) -> list[StoredEvent]:
    """Return what a job and its runs said before a cursor, or at the end, the newest first."""
    with service.database.read() as connection:
        return stored_events.before(connection, cursor, job=job.id, limit=limit)


def last_events_of(service: Service, job: Job, limit: int = 50) -> list[StoredEvent]:
    """Return the last that a job and its runs said, in the order in which they said it."""
    with service.database.read() as connection:
        return stored_events.latest(connection, job.id, limit)


def cancel(service: Service, written: str, by: Principal, *, kinds: Collection[str] = TRAININGS) -> Job:
    """End a job: at once where nothing runs, else its run is asked, and then made to.

    Raises:
        NotFound: there is none.
        WrongJobState: it is over.
    """
    job = _changeable(service, written, by, "cancelled", over=JOB_OVER, kinds=kinds)
    if job.state in (RunState.QUEUED, RunState.PAUSED) and _settle(service, job, RunState.CANCELLED, "cancelled"):
        return get(service, job.id, by, kinds=kinds)
    return _ask(service, job, Request.CANCEL, by, "cancelled")


def pause(service: Service, written: str, by: Principal, *, kinds: Collection[str] = TRAININGS) -> Job:
    """Have a job save its state and stop; a queued one waits until it is resumed.

    Raises:
        NotFound: there is none.
        WrongJobState: it is over, or paused; or it is at work and no training, so it has no state to save.
    """
    job = _changeable(service, written, by, "paused", over=JOB_OVER | {RunState.PAUSED}, kinds=kinds)
    if job.state is RunState.QUEUED and _settle(service, job, RunState.PAUSED, "paused before it began"):
        return get(service, job.id, by, kinds=kinds)
    if job.kind not in TRAININGS:
        raise WrongJobState(job.id, job.state, "paused", "It saves no state on its way: wait for it, or cancel it.")
    return _ask(service, job, Request.PAUSE, by, "paused")


def resume(
    service: Service,
    written: str,
    by: Principal,
    limits: Mapping[str, Any] | None = None,
    *,
    kinds: Collection[str] = TRAININGS,
) -> Job:
    """Queue a paused or failed job again; a training goes on from its newest checkpoint that verifies.

    ``limits`` are larger ones than a training had, by dotted path in the job.

    Raises:
        NotFound: there is none.
        WrongJobState: it goes on, is finished or was cancelled.
        ResumeDiffers: a limit is not larger than it was.
        QuotaExceeded: the organisation may have no further job in the queue.
    """
    from tunesmith.service.accounts.quotas import admit
    from tunesmith.service.jobs.resume import raised

    job = get(service, written, by, with_plan=bool(limits), kinds=TRAININGS if limits else kinds)
    by.needs(Role.MEMBER)
    larger = raised(job, limits) if limits else {}
    if job.state not in (RunState.PAUSED, RunState.FAILED):
        raise _not_resumed(job)
    with service.database.write() as connection:
        admit(connection, job.org, service)
        current = stored_jobs.get(connection, job.id, alone=True)
        if current is None or current.state is not job.state:  # Somebody else has resumed or cancelled it meanwhile.
            raise _not_resumed(current or job)
        now = service.database.now(connection)
        stored_jobs.move(
            connection, job.id, RunState.QUEUED, request=str(Request.NONE), requested_at=None, reason=None,
            waiting=None, error=None, ended_at=None, attempts=0, available_at=now, **larger,
        )  # fmt: skip
        service.database.order_events(connection)
        stored_events.add(connection, [told(job, now, state=RunState.QUEUED, reason="resumed")])
    service.wake.set()
    return get(service, job.id, by, kinds=kinds)


def _not_resumed(job: Job) -> WrongJobState:
    return WrongJobState(job.id, job.state, "resumed", "Only paused or failed jobs can be.")


def told(job: Job, now: float, *, state: RunState, reason: str | None = None, **facts: Any) -> NewEvent:
    """Make the event that says where a job stands."""
    body = {"state": str(state), "reason": reason, **facts}
    return NewEvent(org=job.org, job=job.id, time=now, kind=MADE, body=body)


def _changeable(
    service: Service, written: str, by: Principal, action: str, *, over: frozenset[RunState], kinds: Collection[str]
) -> Job:
    job = get(service, written, by, kinds=kinds)
    by.needs(Role.MEMBER)
    if job.state in over:
        raise WrongJobState(job.id, job.state, action, "Look at it to see how it ended.")
    return job


def _settle(service: Service, job: Job, state: RunState, reason: str) -> bool:
    """Bring a job on which nobody works into a state; False if somebody began to in the meantime."""
    with service.database.write() as connection:
        current = stored_jobs.get(connection, job.id, alone=True)
        if current is None or current.state not in (RunState.QUEUED, RunState.PAUSED):
            return False
        now = service.database.now(connection)
        ended = now if state in JOB_OVER else None
        if not stored_jobs.move(
            connection, job.id, state, reason=reason, waiting=None, request=str(Request.NONE), ended_at=ended
        ):
            return False
        service.database.order_events(connection)
        stored_events.add(connection, [told(job, now, state=state, reason=reason)])
        return True


_WEIGHT: Final = {Request.NONE: 0, Request.CHECKPOINT: 1, Request.PAUSE: 2, Request.CANCEL: 3}


def _ask(service: Service, job: Job, request: Request, by: Principal, action: str) -> Job:
    """Store what is asked of a job; the supervisor that has it tells its run. What goes further stays in force."""
    with service.database.write() as connection:
        current = stored_jobs.get(connection, job.id, alone=True)
        if current is not None and current.state in (RunState.PREPARING, RunState.RUNNING):
            if _WEIGHT[request] > _WEIGHT[current.request]:
                now = service.database.now(connection)
                stored_jobs.change(connection, job.id, request=str(request), requested_at=now)
                service.database.order_events(connection)
                body = {"state": str(current.state), "request": str(request)}
                stored_events.add(connection, [NewEvent(job.org, job.id, now, MADE, body)])
            current = stored_jobs.get(connection, job.id)
            service.wake.set()
            assert current is not None
            return current
    now_ = get(service, job.id, by, kinds=(job.kind,))
    raise WrongJobState(job.id, now_.state, action, "Look at it to see how it ended.")
