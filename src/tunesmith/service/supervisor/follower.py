"""From a run's event log to the database: rows, offset and the job's numbers in one transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tunesmith.runs.status import LOSSES
from tunesmith.service.supervisor.holding import Bench, Holding, fenced, tell
from tunesmith.spec.events import (
    Acknowledged,
    Body,
    Ended,
    Evaluated,
    Event,
    Failed,
    Finished,
    Heartbeat,
    Phase,
    Progress,
    Started,
    Step,
    Tested,
    Warned,
    parse,
)
from tunesmith.spec.states import Request, RunState
from tunesmith.store import events as stored_events
from tunesmith.store import jobs as stored_jobs
from tunesmith.store import runs as stored_runs
from tunesmith.store.events import NewEvent
from tunesmith.store.jobs import Job

log = logging.getLogger(__name__)

AT_ONCE: Final = 512 * 1024
"""Bytes of a log that one transaction stores, unless a single line is longer."""
LAST_WORDS: Final = (Finished, Failed, Ended)


def follow(bench: Bench, holding: Holding) -> bool:
    """Store what a run has said since; return whether there may be more at once.

    Raises:
        LeaseLost: the job belongs to another supervisor by now.
    """
    run = holding.folder
    if run is None or not _has_grown(holding):
        return False
    content = _whole_lines(run.events, holding.offset)
    if not content:
        return False
    said = [event for line in content.splitlines() if (event := _parsed(line, run.id)) is not None]
    _store(bench, holding, run.id, said, holding.offset + len(content))
    return len(content) > AT_ONCE // 2


def _has_grown(holding: Holding) -> bool:
    assert holding.folder is not None
    try:
        return holding.folder.events.stat().st_size > holding.offset
    except OSError:
        return False


def _whole_lines(log: Path, offset: int) -> bytes:
    """Return the next whole lines of a log; what a line lacks may still be being written."""
    try:
        with log.open("rb") as file:
            file.seek(offset)
            content = file.read(AT_ONCE)
            if len(content) == AT_ONCE and b"\n" not in content:
                content += file.readline()
    except FileNotFoundError:
        return b""
    return content[: content.rfind(b"\n") + 1]


def _parsed(line: bytes, run: str) -> Event | None:
    """Read a line; one that is no event is left out, and the run goes on being followed."""
    try:
        return parse(line)
    except (ValueError, KeyError, TypeError) as error:
        log.warning("A line of run %s is no event (%s): %r", run, error, line[:200])
        return None


def _store(bench: Bench, holding: Holding, run: str, said: Sequence[Event], end: int) -> None:
    with fenced(bench, holding) as (connection, job, now):
        if not stored_runs.advance(connection, run, start=holding.offset, end=end, **_facts_of_run(job, said)):
            stored = stored_runs.get(connection, run)
            holding.offset = stored.event_offset if stored else end
            return
        progress, losses = progress_after(job.progress, holding.losses, said)
        changes = {"progress": progress, **_changes(job, said)}
        starts = job.state is RunState.PREPARING and any(_is_under_way(job, event.body) for event in said)
        if starts:
            changes["started_at"] = job.started_at or now
            stored_jobs.move(connection, job.id, RunState.RUNNING, token=holding.token, **changes)
        else:
            stored_jobs.change(connection, job.id, token=holding.token, **changes)
        rows = [_row(job, run, event) for event in said if not isinstance(event.body, Heartbeat)]
        if rows:
            bench.service.database.order_events(connection)
            stored_events.add(connection, rows)
        if starts:
            tell(bench, connection, job, now, RunState.RUNNING, run=run)
    holding.offset, holding.losses = end, losses
    if said and isinstance(said[-1].body, LAST_WORDS):
        holding.silent_since = time.monotonic()


def _is_under_way(job: Job, body: Body) -> bool:
    """Whether a run has begun: a training with its first step, other work with the first that it tells of its way."""
    return isinstance(body, Started | Progress) or (job.work is not None and isinstance(body, Phase))


def _facts_of_run(job: Job, said: Sequence[Event]) -> dict[str, Any]:
    """Return what the row of the run remembers of these events."""
    if not said:
        return {}
    facts: dict[str, Any] = {"event_seq": said[-1].seq, "heartbeat_at": said[-1].time}
    for event in said:
        if isinstance(event.body, Started | Step | Heartbeat):
            facts["step"] = event.body.step
        if _is_under_way(job, event.body):
            facts["state"] = str(RunState.RUNNING)
    return facts


def _changes(job: Job, said: Sequence[Event]) -> dict[str, Any]:
    """Return what else of the job these events change."""
    warnings = [event.body.message for event in said if isinstance(event.body, Warned)]
    new = list(dict.fromkeys(message for message in warnings if message not in job.warnings))
    changes: dict[str, Any] = {"warnings": [*job.warnings, *new]} if new else {}
    saved = any(isinstance(e.body, Acknowledged) and e.body.request is Request.CHECKPOINT for e in said)
    if saved and job.request is Request.CHECKPOINT:
        changes |= {"request": str(Request.NONE), "requested_at": None}
    return changes


def _row(job: Job, run: str, event: Event) -> NewEvent:
    body = event.body.model_dump(mode="json", exclude={"kind"})
    return NewEvent(job.org, job.id, event.time, event.body.kind, body, run, event.seq)


def progress_after(
    before: Mapping[str, Any], losses: Sequence[float], said: Sequence[Event]
) -> tuple[dict[str, Any], list[float]]:
    """Return a job's numbers and its newest losses after these events."""
    progress, newest = dict(before), list(losses)
    for event in said:
        match event.body:
            case Phase(name=name, done=done) | Progress(message=name, done=done):
                progress |= {"phase": name} | ({} if done is None else {"done": done})
            case Started() as started:
                newest = []
                progress |= {
                    "phase": "training",
                    "step": started.step,
                    "total_steps": started.total_steps,
                    "epochs": started.epochs,
                }
            case Step() as step:
                newest = [*newest, step.loss][-LOSSES:]
                progress |= _after_step(progress, step, newest)
            case Evaluated() as evaluated:
                progress |= {
                    "seconds": evaluated.seconds,
                    "validation_loss": evaluated.validation_loss,
                    "best_validation_loss": evaluated.best_validation_loss,
                    "metrics": {**progress.get("metrics", {}), **evaluated.metrics},
                }
            case Tested() as tested:
                measured = {
                    "test_loss": tested.loss,
                    **{f"test_{name}": value for name, value in tested.metrics.items()},
                }
                progress["metrics"] = {**progress.get("metrics", {}), **measured}
    return progress, newest


def _after_step(progress: Mapping[str, Any], step: Step, losses: Sequence[float]) -> dict[str, Any]:
    return {
        "step": step.step,
        "epoch": step.epoch,
        "loss": sum(losses) / len(losses),
        "last_loss": step.loss,
        "learning_rate": step.learning_rate,
        "grad_norm": step.grad_norm,
        "tokens_per_second": step.tokens_per_second,
        "rows_per_second": step.rows_per_second,
        "counts": step.counts,
        "trained_tokens": progress.get("trained_tokens", 0) + step.trained_tokens,
        "seconds": progress.get("seconds", 0.0) + step.seconds,
    }
