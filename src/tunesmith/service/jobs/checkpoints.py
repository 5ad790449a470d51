"""The checkpoints of a job: what its runs saved on this machine, still have, and find as they left it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.runs import checkpoints
from tunesmith.runs.checkpoints import MANIFEST
from tunesmith.runs.folder import RunFolder
from tunesmith.service.jobs import queue
from tunesmith.store import events as stored_events

if TYPE_CHECKING:
    from tunesmith.service.context import Service

MOST_EVALUATIONS = 10_000
"""Of a run that are looked through for the numbers of its checkpoints."""


@dataclass(frozen=True)
class JobCheckpoint:
    """A checkpoint with what was measured when it was saved."""

    run: str
    step: int
    created_at: float
    bytes: int
    train_loss: float | None
    """None where nothing was evaluated at its step."""
    validation_loss: float | None


def checkpoints_of(service: Service, job: queue.Job) -> list[JobCheckpoint]:
    """Return the checkpoints of a job, the newest first; where two runs saved one of the same step, the later run's."""
    found: dict[int, JobCheckpoint] = {}
    for run in queue.runs_of(service, job):
        folder = RunFolder(service.settings.runs_dir / run.id)
        there = [each for each in checkpoints.listed(folder) if is_whole(each.path)]
        if not there:
            continue
        measured = _evaluations(service, run.id)
        for each in there:
            numbers = measured.get(each.step, {})
            found[each.step] = JobCheckpoint(
                run=run.id,
                step=each.step,
                created_at=(each.path / MANIFEST).stat().st_mtime,
                bytes=each.bytes,
                train_loss=numbers.get("train_loss"),
                validation_loss=numbers.get("validation_loss"),
            )
    return sorted(found.values(), key=lambda each: each.step, reverse=True)


def is_whole(path: Path) -> bool:
    """Whether a checkpoint holds what its manifest promises; its bytes are read once, and again if they changed."""
    try:
        stamps = tuple(sorted((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in path.iterdir()))
    except OSError:
        return False
    return _verified(path, stamps)


@lru_cache(maxsize=1000)
def _verified(path: Path, stamps: tuple[tuple[str, int, int], ...]) -> bool:
    return checkpoints.verify(path)


def _evaluations(service: Service, run: str) -> dict[int, dict[str, float]]:
    with service.database.read() as connection:
        said = stored_events.newest_of(connection, run, "evaluated", MOST_EVALUATIONS)
    return {event.body["step"]: event.body for event in said}
