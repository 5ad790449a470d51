"""From a claimed job to a run that lives: plan it, write down which run it will be, and only then launch that."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tunesmith.runs.folder import RunFolder, new_run_id
from tunesmith.runs.handle import handle_of
from tunesmith.runs.launch import given_up
from tunesmith.runs.lease import grant
from tunesmith.service.supervisor import launcher
from tunesmith.service.supervisor.ends import ASKED_FOR, crash, fail, forget_run, queue_again, settle
from tunesmith.service.supervisor.holding import Bench, Holding, fenced, tell
from tunesmith.service.supervisor.work_launcher import Settled, launch_work, settle_work
from tunesmith.spec.errors import OutputBusy, RunAbandoned, SubtaskDied, TunesmithError
from tunesmith.spec.plan import Plan
from tunesmith.spec.states import RunState
from tunesmith.store import jobs as stored_jobs
from tunesmith.store import runs as stored_runs
from tunesmith.store.jobs import Job
from tunesmith.store.runs import StoredRun

log = logging.getLogger(__name__)
T = TypeVar("T")


def prepare(bench: Bench, holding: Holding) -> None:
    """Begin to plan a job; what follows is begun when that is done."""
    if holding.job.work is not None:
        _settle_work(bench, holding)
        return
    parent = last_folder(bench, holding)

    def work() -> Plan:
        if holding.job.plan is not None:
            return holding.job.plan  # Also that of the run which is gone on with, by now perhaps with larger limits.
        return launcher.plan(bench.service, holding.job, parent=parent, devices=holding.gpus, device_kind=holding.kind)

    holding.begin(bench, work, lambda result: _planned(bench, holding, parent, result))


def last_folder(bench: Bench, holding: Holding) -> RunFolder | None:
    """Return the newest run of a job that has a folder here: what the next one goes on with."""
    with bench.service.database.read() as connection:
        found = stored_runs.of_job(connection, holding.job.id)
    folders = [RunFolder(bench.service.settings.runs_dir / run.id) for run in found]
    return next((folder for folder in reversed(folders) if folder.exists() and not given_up(folder)), None)


def _planned(bench: Bench, holding: Holding, parent: RunFolder | None, result: Callable[[], Plan]) -> None:
    """Store the plan and the run that is to be: from here on nothing of the run is unknown."""
    plan = _outcome(bench, holding, result)
    if plan is None:
        return
    id = _intend(bench, holding, plan.spec.name or "run", plan)
    if id is None:
        return

    def work() -> RunFolder:
        return launcher.launch(
            bench.service,
            holding.job,
            plan,
            run_id=id,
            parent=parent,
            devices=holding.gpus,
            device_kind=holding.kind,
            token=holding.token,
            executor=bench.executor,
            lease_until=_first_lease(bench),
        )

    holding.launching = True
    holding.begin(bench, work, lambda launched: _launched(bench, holding, id, launched))


def _settle_work(bench: Bench, holding: Holding) -> None:
    """Begin to find what a job names that has no plan; its run is launched when that is done."""
    with bench.service.database.read() as connection:
        earlier = [run.id for run in stored_runs.of_job(connection, holding.job.id)]

    def work() -> Settled:
        return settle_work(bench.service, holding.job, devices=holding.gpus, earlier=earlier)

    holding.begin(bench, work, lambda result: _settled(bench, holding, result))


def _settled(bench: Bench, holding: Holding, result: Callable[[], Settled]) -> None:
    """Store the run that is to be, and launch it."""
    settled = _outcome(bench, holding, result)
    id = _intend(bench, holding, settled.name) if settled is not None else None
    if settled is None or id is None:
        return

    def work() -> RunFolder:
        return launch_work(
            bench.service,
            holding.job,
            settled,
            run_id=id,
            token=holding.token,
            environment=launcher.environment(holding.gpus),
            executor=bench.executor,
            lease_until=_first_lease(bench),
        )

    holding.launching = True
    holding.begin(bench, work, lambda launched: _launched(bench, holding, id, launched))


def _outcome(bench: Bench, holding: Holding, result: Callable[[], T]) -> T | None:
    """Return what was found before a run can be; None if it was not, which the job says by now."""
    try:
        return result()
    except SubtaskDied as error:
        crash(bench, holding, error.message)
    except TunesmithError as error:
        fail(bench, holding, error)
    except Exception as error:
        log.exception("Job %s could not be planned", holding.job.id)
        crash(bench, holding, f"planning broke off ({type(error).__name__}: {error})")
    return None


def _first_lease(bench: Bench) -> float | None:
    """Return until when a run may go on before its lease is renewed: sooner than the job's own ends.

    The job's lease was renewed at most a third of its length ago, and a bit.
    """
    service = bench.service
    return None if service.database.is_sqlite else time.time() + service.settings.lease_seconds / 2


def _intend(bench: Bench, holding: Holding, name: str, plan: Plan | None = None) -> str | None:
    """Write down which run comes next and return its id; None if the job is not to run any more."""
    with fenced(bench, holding) as (connection, job, now):
        if job.request in ASKED_FOR:
            settle(bench, holding, connection, job, now)
            return None
        forget_run(bench, connection, job, now)
        id = new_run_id(name, time.time())
        attempt = len(stored_runs.of_job(connection, job.id)) + 1
        # Whoever goes on with the job needs the devices that its plan was made for.
        stored_jobs.change(
            connection, job.id, run=id, device=holding.kind, slots=len(holding.numbers), **_planned_facts(job, plan)
        )
        stored_runs.add(connection, _new_run(bench, holding, id, attempt, now))
    return id


def _planned_facts(job: Job, plan: Plan | None) -> dict[str, Any]:
    if plan is None:
        return {}
    warnings = list(dict.fromkeys([*job.warnings, *plan.warnings]))
    # Lists of jobs have no plans, and say what is trained all the same.
    return {
        "plan": plan.model_dump(mode="json"), "warnings": warnings, "extra": {**job.extra, "task": plan.spec.task}
    }  # fmt: skip


def _new_run(bench: Bench, holding: Holding, id: str, attempt: int, now: float) -> StoredRun:
    return StoredRun(
        id=id,
        job=holding.job.id,
        org=holding.job.org,
        kind=holding.job.kind,
        attempt=attempt,
        machine=bench.machine,
        device=holding.kind,
        slots=len(holding.numbers),
        state=RunState.QUEUED,
        reason=None,
        handle=None,
        exit=None,
        step=None,
        event_offset=0,
        event_seq=0,
        created_at=now,
        launched_at=None,
        heartbeat_at=None,
        ended_at=None,
        peak_memory=None,
    )


def _launched(bench: Bench, holding: Holding, id: str, result: Callable[[], RunFolder]) -> None:
    """Note that a run lives, or that it never will."""
    try:
        run = result()
    except RunAbandoned:
        holding.over = True  # Whoever gave the run up has the job.
        return
    except OutputBusy as error:
        queue_again(bench, holding, waiting=error.message)
        return
    except TunesmithError as error:
        fail(bench, holding, error)
        return
    except Exception as error:
        log.exception("Run %s could not be launched", id)
        crash(bench, holding, f"starting it broke off ({type(error).__name__}: {error})")
        return
    follow_up(bench, holding, run)


def renew_run(bench: Bench, holding: Holding, run: RunFolder, until: float) -> None:
    """Let a run go on until then, where another machine could take its job over.

    Nobody takes over what the command line started: it has no devices of ours, and goes on for as long as it takes.
    """
    if holding.numbers and not bench.service.database.is_sqlite:
        grant(run, until)


def follow_up(bench: Bench, holding: Holding, run: RunFolder) -> None:
    """Note that a run was launched, and follow it from now on."""
    handle, before = handle_of(run), time.time()
    with fenced(bench, holding) as (connection, job, now):
        stored = stored_runs.get(connection, run.id)
        known = handle.model_dump(mode="json") if handle else None
        stored_runs.change(connection, run.id, handle=known)
        if stored is not None and stored.launched_at is None:
            stored_runs.change(connection, run.id, launched_at=now, state=str(RunState.PREPARING))
            tell(bench, connection, job, now, RunState.PREPARING, run=run.id, machine=bench.machine)
        left = (job.lease_until or now) - now
    renew_run(bench, holding, run, before + left)
    holding.folder, holding.handle, holding.launching = run, handle, False
    holding.offset = stored.event_offset if stored else 0
