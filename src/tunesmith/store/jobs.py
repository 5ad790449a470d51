"""Jobs: submit, look up, list, and every change of a state as one compare-and-swap."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update

from tunesmith.spec.job import JobSpec
from tunesmith.spec.plan import Plan
from tunesmith.spec.states import JOB_OVER, Request, RunState, sources_of
from tunesmith.spec.work import Work
from tunesmith.store import tables

jobs = tables.jobs
TRAIN: Final = "train"
"""The kind of the jobs that have a specification and a plan."""
_WORK: Final[TypeAdapter[Work]] = TypeAdapter(Work)


@dataclass(frozen=True)
class Job:
    """A job as it stands."""

    id: str
    number: int
    """Counts up with each job: the order of lists, and the cursor in them."""
    org: str
    created_by: str | None
    """Id of the key; None: the operator."""
    door: str
    """The way in that it came through."""
    kind: str
    """What its runs do: a ``runs.folder.Kind``."""
    name: str
    training: JobSpec | None
    """What is trained; None for a job of another kind."""
    work: Work | None
    """What a job does that trains nothing."""
    folder: str
    """What relative paths start from."""
    state: RunState
    reason: str | None
    """Why it stands where it stands, in words."""
    waiting: str | None
    """Why it is still queued, in words, where there is something to say."""
    request: Request
    requested_at: float | None
    priority: int
    device: str
    """any, cpu, gpu or side."""
    slots: int
    """Devices that it needs at once."""
    created_at: float
    available_at: float
    """Not to be claimed before."""
    started_at: float | None
    ended_at: float | None
    attempts: int
    """Runs in a row that died without getting further."""
    run: str | None
    """The run that goes on, or the last one."""
    lease_owner: str | None
    lease_token: int
    lease_until: float | None
    progress: dict[str, Any]
    """The newest numbers: step, total_steps, epoch, epochs, loss, validation_loss, learning_rate, ..."""
    error: dict[str, Any] | None
    """code, message, todo, exit_code of a failed job."""
    warnings: list[str]
    result: dict[str, Any] | None
    """What a succeeded job made: model (its id), output, summary."""
    extra: dict[str, Any]
    indexed: bool
    plan: Plan | None = None
    """None also where it was not asked for: it is large, and lists do without."""

    @property
    def spec(self) -> JobSpec:
        """What is trained; only for those who know that the job trains something."""
        assert self.training is not None, f"job {self.id} trains nothing"
        return self.training

    @property
    def share_done(self) -> float:
        """How much of it is done, 0 to 1; 0 where there is no end."""
        if self.state is RunState.SUCCEEDED:
            return 1.0
        if self.work is not None:
            return float(self.progress.get("done") or 0.0)
        total = self.progress.get("total_steps")
        return min(1.0, self.progress.get("step", 0) / total) if total else 0.0


@dataclass(frozen=True)
class NewJob:
    """A job to be stored."""

    id: str
    org: str
    door: str
    name: str
    spec: JobSpec | None
    folder: str
    device: str
    slots: int = 1
    kind: str = TRAIN
    work: Work | None = None
    priority: int = 0
    created_by: str | None = None
    state: RunState = RunState.QUEUED
    reason: str | None = None
    warnings: Sequence[str] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    plan: Plan | None = None
    run: str | None = None
    indexed: bool = False


_LIGHT: Final = [column for column in jobs.c if column.name != "plan"]


def add(connection: Connection, job: NewJob, now: float) -> Job:
    """Store a job and return it."""
    values = {
        "number": _next_number(connection),
        "created_at": now,
        "available_at": now,
        "progress": {},
        "request": Request.NONE,
        "attempts": 0,
        "lease_token": 0,
        **{name: getattr(job, name) for name in job.__dataclass_fields__},
        # What was left open must read as left open: only then may the plan choose it.
        "spec": job.spec.model_dump(mode="json", exclude_unset=True) if job.spec else None,
        "work": job.work.model_dump(mode="json") if job.work else None,
        "plan": job.plan.model_dump(mode="json") if job.plan else None,
        "warnings": list(job.warnings),
        "extra": dict(job.extra),
    }
    connection.execute(insert(jobs).values(values))
    return _job(connection.execute(select(*_LIGHT).where(jobs.c.id == job.id)).one())


def _next_number(connection: Connection) -> int:
    if connection.dialect.name == "sqlite":
        return int(connection.execute(select(func.coalesce(func.max(jobs.c.number), 0) + 1)).scalar_one())
    return int(connection.execute(select(tables.job_numbers.next_value())).scalar_one())


def get(connection: Connection, id: str, *, with_plan: bool = False, alone: bool = False) -> Job | None:
    """Return a job; None if there is none of that id. ``alone``: nobody else changes it until this transaction ends."""
    chosen = select(*(jobs.c if with_plan else _LIGHT)).where(jobs.c.id == id)
    row = connection.execute(chosen.with_for_update() if alone else chosen).one_or_none()
    return _job(row) if row is not None else None


@dataclass(frozen=True)
class Wanted:
    """Which jobs a list shows."""

    org: str | None = None
    """None: those of all organisations."""
    states: Collection[RunState] = ()
    doors: Collection[str] = ()
    kinds: Collection[str] = (TRAIN,)
    """Empty: of every kind."""
    before: int | None = None
    """Only jobs with a smaller number: what comes after a page that goes from the newest down."""
    limit: int = 100
    extra: Mapping[str, str] = field(default_factory=dict)
    """Only jobs whose ``extra["metadata"]`` has these values."""


def listed(connection: Connection, wanted: Wanted) -> list[Job]:
    """Return jobs, the newest first."""
    chosen = select(*_LIGHT).order_by(jobs.c.number.desc()).limit(wanted.limit)
    if wanted.org is not None:
        chosen = chosen.where(jobs.c.org == wanted.org)
    if wanted.states:
        chosen = chosen.where(jobs.c.state.in_([str(state) for state in wanted.states]))
    if wanted.doors:
        chosen = chosen.where(jobs.c.door.in_(wanted.doors))
    if wanted.kinds:
        chosen = chosen.where(jobs.c.kind.in_(wanted.kinds))
    if wanted.before is not None:
        chosen = chosen.where(jobs.c.number < wanted.before)
    for key, value in wanted.extra.items():
        chosen = chosen.where(jobs.c.extra[("metadata", key)].as_string() == value)
    return [_job(row) for row in connection.execute(chosen)]


def counts(connection: Connection) -> dict[tuple[str, RunState], int]:
    """Return how many jobs each organisation has in each state."""
    rows = connection.execute(select(jobs.c.org, jobs.c.state, func.count()).group_by(jobs.c.org, jobs.c.state))
    return {(org, RunState(state)): count for org, state, count in rows}


def queued(connection: Connection, org: str, most: int) -> int:
    """Return how many jobs of an organisation wait, counting no further than ``most``."""
    waiting = select(jobs.c.id).where((jobs.c.state == str(RunState.QUEUED)) & (jobs.c.org == org)).limit(most)
    return int(connection.execute(select(func.count()).select_from(waiting.subquery())).scalar_one())


def move(connection: Connection, id: str, to: RunState, *, token: int | None = None, **values: Any) -> bool:
    """Bring a job into a state, and set further columns, if it is in one that may lead there.

    With ``token`` only while that lease holds. Return whether anything changed: if not, somebody else was first.
    """
    allowed = and_(jobs.c.id == id, jobs.c.state.in_([str(state) for state in sources_of(to)]))
    if token is not None:
        allowed = and_(allowed, jobs.c.lease_token == token)
    done = connection.execute(update(jobs).where(allowed).values(state=str(to), **values))
    return done.rowcount == 1


def change(connection: Connection, id: str, *, token: int | None = None, **values: Any) -> bool:
    """Set columns of a job, with ``token`` only while that lease holds; return whether it did."""
    which = jobs.c.id == id
    if token is not None:
        which = and_(which, jobs.c.lease_token == token)
    return connection.execute(update(jobs).where(which).values(**values)).rowcount == 1


def remove(connection: Connection, id: str) -> None:
    """Forget a job and its runs."""
    connection.execute(delete(jobs).where(jobs.c.id == id))


def first_that_continues(connection: Connection, runs: Collection[str]) -> str | None:
    """Return a job that is not over and starts from the result of one of these runs, or measures or exports it."""
    named = [f"run:{run}" for run in runs]
    sources = [jobs.c.spec[("model", "source")], *(jobs.c.work[name] for name in ("source", "model", "baseline"))]
    unfinished = jobs.c.state.not_in([str(state) for state in JOB_OVER])
    uses = or_(*(source.as_string().in_(named) for source in sources))
    chosen = select(jobs.c.id).where(unfinished, uses).limit(1)
    return connection.execute(chosen).scalar_one_or_none()


def exports_into(connection: Connection, org: str, output: str) -> list[Job]:
    """Return the exports of an organisation into a folder that go on or succeeded, the newest first."""
    gone = [str(RunState.FAILED), str(RunState.CANCELLED)]
    here = and_(jobs.c.org == org, jobs.c.kind == "export", jobs.c.state.not_in(gone))
    chosen = select(*_LIGHT).where(here, jobs.c.work["output"].as_string() == output)
    return [_job(row) for row in connection.execute(chosen.order_by(jobs.c.number.desc()))]


def queued_since(connection: Connection) -> dict[str, float]:
    """Return since when the oldest queued job of each organisation waits that has one."""
    chosen = select(jobs.c.org, func.min(jobs.c.created_at)).where(jobs.c.state == str(RunState.QUEUED))
    return {org: float(since) for org, since in connection.execute(chosen.group_by(jobs.c.org))}


def _job(row: Row[Any]) -> Job:
    values = dict(row._mapping)
    plan, spec, work = values.pop("plan", None), values.pop("spec"), values.pop("work")
    return Job(
        **values
        | {
            "training": JobSpec.model_validate(spec) if spec is not None else None,
            "work": _WORK.validate_python(work) if work is not None else None,
            "state": RunState(values["state"]),
            "request": Request(values["request"]),
            "plan": Plan.model_validate(plan) if plan is not None else None,
        }
    )
