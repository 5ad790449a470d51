"""How a job ends, or goes back to the queue: one transaction that also gives its devices back and charges for them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from tunesmith.runs import checkpoints
from tunesmith.runs.event_log import read_lines
from tunesmith.runs.exits import RUN
from tunesmith.runs.folder import Kind, RunFolder
from tunesmith.runs.launch import given_up
from tunesmith.runs.rank_faults import CRASH, noted_fault
from tunesmith.runs.status import RunStatus, status
from tunesmith.service.models import registry
from tunesmith.service.models.registry import NewModel
from tunesmith.service.supervisor.clearing import clear_away
from tunesmith.service.supervisor.holding import Bench, Holding, fenced, tell
from tunesmith.spec.errors import Relayed, TunesmithError
from tunesmith.spec.events import Failed, Finished, parse
from tunesmith.spec.states import JOB_OVER, Request, RunState
from tunesmith.store import claims
from tunesmith.store import jobs as stored_jobs
from tunesmith.store import runs as stored_runs
from tunesmith.store import usage as stored_usage
from tunesmith.store.jobs import Job

log = logging.getLogger(__name__)

LONGEST_DELAY: Final = 3600.0
"""Seconds that a job whose runs die waits before it is tried again, at most."""
SHORTEST_WAIT: Final = 2.0
LONGEST_WAIT: Final = 60.0
"""Seconds after which a job whose output another run writes into is looked at again."""
CRASHED: Final = "run_crashed"
ASKED_FOR: Final = {Request.PAUSE: RunState.PAUSED, Request.CANCEL: RunState.CANCELLED}
"""The state in which a job ends that was asked to."""
REASONS: Final = {RunState.PAUSED: "paused", RunState.CANCELLED: "cancelled"}


@dataclass(frozen=True)
class Ending:
    """What a run's folder tells once its processes are gone."""

    status: RunStatus
    word: Finished | Failed | None
    """The run's own last word, where it had one."""
    model: NewModel | None
    went_further: bool
    """Whether it saved a checkpoint beyond the one that it started from."""
    by_hand: bool = False
    """Whether the command line started it without a server: how it ends is how its job ends, until it is resumed."""


def conclude(bench: Bench, holding: Holding) -> None:
    """Begin to find out how a run ended; the job follows."""
    run, job = holding.folder, holding.job
    assert run is not None

    def work() -> Ending:
        ending = read_ending(job, run)
        if job.work is not None and ending.status.state is not RunState.SUCCEEDED:
            clear_away(run)
        return ending

    holding.begin(bench, work, lambda result: _concluded(bench, holding, run, result))


def read_ending(job: Job, run: RunFolder) -> Ending:
    """Read how a run ended from its folder.

    Raises:
        RunNotFound, UnreadableFile: the folder is gone, or damaged.
    """
    found = status(run)
    lines = read_lines(run.events)[0]
    last = parse(lines[-1]).body if lines else None
    word = last if isinstance(last, Finished | Failed) else _word_of_another_process(run)
    succeeded = found.state is RunState.SUCCEEDED and run.header().kind is Kind.TRAIN
    model = registry.gather(job, run) if succeeded else None
    return Ending(found, word, model, _went_further(run), by_hand=run.header().job is None)


def _word_of_another_process(run: RunFolder) -> Failed | None:
    """Return what a process of the run without a voice found wrong; that it broke off says nothing."""
    fault = noted_fault(run)
    if fault is None or fault.code == CRASH:
        return None
    return Failed(code=fault.code, message=fault.message, exit_code=fault.exit_code)


def _went_further(run: RunFolder) -> bool:
    own = checkpoints.listed(run)
    if not own:
        return False
    parent = run.parent()
    before = checkpoints.start_of(parent) if parent is not None else None
    return own[-1].step > (before.step if before else 0)


def _concluded(bench: Bench, holding: Holding, run: RunFolder, result: Callable[[], Ending]) -> None:
    try:
        ending = result()
    except TunesmithError as error:
        fail(bench, holding, error)
        return
    except Exception as error:
        log.exception("The end of run %s could not be read", run.id)
        fail(bench, holding, Relayed(f"The end of run {run.id} cannot be read: {error}.", CRASHED, 70))
        return
    with fenced(bench, holding) as (connection, job, now):
        _close_run(connection, job, ending.status, now)
        _apply(bench, holding, connection, job, ending, now)


def _apply(bench: Bench, holding: Holding, connection: Connection, job: Job, ending: Ending, now: float) -> None:
    """Decide by what was asked and by how the run ended what becomes of its job."""
    state = ending.status.state
    if state is RunState.SUCCEEDED:
        _succeed(bench, holding, connection, job, ending, now)
    elif job.request is Request.PAUSE and isinstance(ending.word, Failed):
        _fail(bench, holding, connection, job, now, _fault(ending))  # It would do so again when it is resumed.
    elif job.request in ASKED_FOR:
        settle(bench, holding, connection, job, now)
    elif state is RunState.CANCELLED:
        _close(bench, holding, connection, job, now, RunState.CANCELLED, "cancelled")
    elif state is RunState.PAUSED and ending.by_hand:
        _close(bench, holding, connection, job, now, RunState.PAUSED, "paused")
    elif state is RunState.PAUSED:
        _requeue(bench, holding, connection, job, now, reason="the run was asked to save its state; it goes on")
    elif isinstance(ending.word, Failed) or ending.by_hand:
        _fail(bench, holding, connection, job, now, _fault(ending))
    else:
        _retry(bench, holding, connection, job, now, ending.status, went_further=ending.went_further)


def _succeed(bench: Bench, holding: Holding, connection: Connection, job: Job, ending: Ending, now: float) -> None:
    model = registry.add(connection, ending.model, now) if ending.model else None
    summary = ending.word.summary if isinstance(ending.word, Finished) else {}
    result = {"model": model.id if model else None, "output": ending.status.output, "summary": summary}
    _close(bench, holding, connection, job, now, RunState.SUCCEEDED, ending.status.reason, result=result)


def _fault(ending: Ending) -> dict[str, Any]:
    found = ending.status
    code = ending.word.code if isinstance(ending.word, Failed) else CRASHED
    return _error(code, found.reason or "the run failed", found.todo, found.exit)


def _error(code: str, message: str, todo: str | None, exit_code: int | None) -> dict[str, Any]:
    # PostgreSQL keeps no zero characters, which what a library says may hold.
    return {"code": code, "message": message.replace("\0", ""), "todo": todo, "exit_code": exit_code}


def _retry(
    bench: Bench, holding: Holding, connection: Connection, job: Job, now: float, found: RunStatus, *,
    went_further: bool,
) -> None:  # fmt: skip
    """Have a job whose run died tried again, or set it aside after too many runs that got no further."""
    attempts = 0 if went_further else job.attempts + 1
    _try_again(bench, holding, connection, job, now, found.reason or "died", found.todo, found.exit, attempts)


def _try_again(
    bench: Bench, holding: Holding, connection: Connection, job: Job, now: float, reason: str, todo: str | None,
    exit_code: int | None, attempts: int,
) -> None:  # fmt: skip
    settings = bench.service.settings
    if attempts >= settings.max_attempts:
        runs = "a run" if attempts == 1 else f"{attempts} runs"
        aside = f"set aside after {runs} that got no further: {reason}"
        error = _error(CRASHED, f"The job was {aside}.", todo, exit_code)
        _fail(bench, holding, connection, job, now, error, attempts=attempts)
        return
    delay = min(LONGEST_DELAY, settings.retry_seconds * 2 ** max(0, attempts - 1))
    _requeue(bench, holding, connection, job, now, reason=f"{reason}; tried again", delay=delay, attempts=attempts)


def settle(bench: Bench, holding: Holding, connection: Connection, job: Job, now: float) -> None:
    """Bring a job on which nothing runs any more into the state that was asked for."""
    forget_run(bench, connection, job, now)
    state = ASKED_FOR[job.request]
    _close(bench, holding, connection, job, now, state, REASONS[state])


def fail(bench: Bench, holding: Holding, error: TunesmithError) -> None:
    """Fail a job of which no run came to life, or whose run left nothing readable."""
    with fenced(bench, holding) as (connection, job, now):
        if job.request in ASKED_FOR:
            settle(bench, holding, connection, job, now)
        else:
            forget_run(bench, connection, job, now)
            told = _error(error.code, error.message, None, error.exit_code)
            _fail(bench, holding, connection, job, now, told)


def crash(bench: Bench, holding: Holding, reason: str) -> None:
    """Have a job tried again whose run did not come to life for a reason that nobody has words for."""
    with fenced(bench, holding) as (connection, job, now):
        if job.request in ASKED_FOR:
            settle(bench, holding, connection, job, now)
        else:
            forget_run(bench, connection, job, now)
            reason = reason.replace("\0", "")
            _try_again(bench, holding, connection, job, now, reason, None, 70, job.attempts + 1)


def queue_again(bench: Bench, holding: Holding, *, waiting: str) -> None:
    """Put a job back whose run cannot start now, with what it waits for; the longer that takes, the less it asks."""
    with fenced(bench, holding) as (connection, job, now):
        if job.request in ASKED_FOR:
            settle(bench, holding, connection, job, now)
        else:
            forget_run(bench, connection, job, now)
            delay = min(LONGEST_WAIT, max(SHORTEST_WAIT, (now - job.created_at) / 10))
            _requeue(bench, holding, connection, job, now, reason=None, delay=delay, waiting=waiting)


def forget_run(bench: Bench, connection: Connection, job: Job, now: float) -> None:
    """Drop the row of a run that never came to be; one that has a folder has ended."""
    run = stored_runs.get(connection, job.run) if job.run else None
    if run is None or run.ended_at is not None:
        return
    folder = RunFolder(bench.service.settings.runs_dir / run.id)
    if folder.exists() and not given_up(folder):
        stored_runs.change(connection, run.id, state=str(RunState.FAILED), ended_at=now)
        return
    stored_runs.remove(connection, run.id)
    left = stored_runs.of_job(connection, job.id)
    stored_jobs.change(connection, job.id, run=left[-1].id if left else None)


def leave(bench: Bench, holding: Holding, connection: Connection, job: Job, now: float) -> None:
    """Let go of a job whose machine is silent: as it was asked to end, or to go on somewhere else."""
    if job.request in ASKED_FOR:
        settle(bench, holding, connection, job, now)
    else:
        _requeue(bench, holding, connection, job, now, reason="its machine fell silent; it goes on from a checkpoint")


def _close_run(connection: Connection, job: Job, found: RunStatus, now: float) -> None:
    stored_runs.change(
        connection, found.id, state=str(found.state), reason=found.reason, exit=found.exit,
        ended_at=found.ended_at or now, peak_memory=found.peak_memory_bytes,
    )  # fmt: skip


def _fail(
    bench: Bench, holding: Holding, connection: Connection, job: Job, now: float, error: dict[str, Any], **values: Any
) -> None:
    todo = (error["todo"] or "").replace(RUN, job.run or "") or None
    error = {**error, "todo": todo}
    _close(bench, holding, connection, job, now, RunState.FAILED, error["message"], error=error, **values)


def _close(
    bench: Bench, holding: Holding, connection: Connection, job: Job, now: float, state: RunState,
    reason: str | None, **values: Any,
) -> None:  # fmt: skip
    """End a job, for good or until somebody resumes it."""
    request = {} if state is RunState.CANCELLED else {"request": str(Request.NONE), "requested_at": None}
    ended = {"ended_at": now} if state in JOB_OVER else {}
    _leave(bench, holding, connection, job, now, state, reason, **request, **ended, **values)


def _requeue(
    bench: Bench, holding: Holding, connection: Connection, job: Job, now: float, *, reason: str | None,
    delay: float = 0.0, **values: Any,
) -> None:  # fmt: skip
    _leave(bench, holding, connection, job, now, RunState.QUEUED, reason, available_at=now + delay, **values)


def _leave(
    bench: Bench, holding: Holding, connection: Connection, job: Job, now: float, state: RunState,
    reason: str | None, **values: Any,
) -> None:  # fmt: skip
    """Let go of a job: its state, its devices and the charge for them change together."""
    moved = stored_jobs.move(
        connection, job.id, state, token=holding.token, reason=reason, lease_owner=None, lease_until=None,
        **values,
    )  # fmt: skip
    assert moved, "a job that is worked on may be left in every way"
    for since in claims.release(connection, job.id):
        stored_usage.add(connection, job.org, start=since, end=now, slots=1)
    told = {"waiting": values["waiting"]} if values.get("waiting") else {}
    tell(bench, connection, job, now, state, reason, **told)
    holding.over = True
