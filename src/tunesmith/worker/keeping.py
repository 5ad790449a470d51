"""The checkpoints of a training run: which are saved, which are kept, and from which one a run starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.runs import checkpoints
from tunesmith.runs.memory_limits import remember_limit
from tunesmith.spec.errors import NothingToResume, ResumeDiffers
from tunesmith.spec.events import Body, CheckpointSaved, DecisionMade, Evaluated, Step
from tunesmith.spec.states import Request

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder
    from tunesmith.training.device import Ranks
    from tunesmith.training.loop import Loop
    from tunesmith.worker.charts import Charts
    from tunesmith.worker.reporting import Reporter


MICRO_TOKENS: Final = "recipe.batch.micro_tokens"
"""What a run that ran out of memory changes, and later plans heed."""


class Keeper:
    """What the loop tells goes to the event log and the charts; what it wants saved goes to checkpoints."""

    def __init__(
        self,
        run: RunFolder,
        reporter: Reporter,
        ranks: Ranks,
        *,
        keep: int,
        fingerprint: str,
        charts: Charts | None,
        watch: Callable[[Body], None] | None = None,
    ) -> None:
        """``watch`` sees all that the loop says, after it is written."""
        self._run = run
        self._reporter = reporter
        self._ranks = ranks
        self._keep = keep
        self._fingerprint = fingerprint
        self._charts = charts
        self._watch = watch

    def say(self, body: Body) -> None:
        """Write an event, a point on the charts where it has numbers, and what later plans should know."""
        self._reporter.say(body)
        if self._charts is not None and isinstance(body, Step | Evaluated):
            self._charts.add(body)
        if isinstance(body, DecisionMade) and body.field == MICRO_TOKENS and self._ranks.first:
            remember_limit(self._run.path.parent.parent, self._run.plan(), int(body.value))
        if self._watch is not None:
            self._watch(body)

    def beat(self, step: int) -> None:
        """Say that the run lives, if nothing else was said for a while."""
        self._reporter.beat(step)

    def request(self) -> Request:
        """Tell what was asked of the run."""
        return self._reporter.request()

    def acknowledge(self, request: Request, step: int) -> None:
        """Say that the loop does what was asked."""
        self._reporter.acknowledge(request, step)

    def save(self, loop: Loop, *, best: bool, reason: str) -> None:
        """Commit a checkpoint; the first process writes, the others wait."""
        if self._ranks.first:
            self._commit(loop, best=best, reason=reason)
        self._ranks.wait()

    def checkpoint_of(self, step: int | None) -> Path | None:
        """Return a checkpoint that verifies, of this run or those it goes on from: of ``step``, or the newest."""
        if step is None:
            newest = checkpoints.start_of(self._run)
            return newest.path if newest else None
        return checkpoint_in(self._run, step)

    def _commit(self, loop: Loop, *, best: bool, reason: str) -> None:
        step = loop.progress.step
        with checkpoints.stage(self._run, step) as staging:
            loop.write(staging.path)
            saved = staging.commit({"fingerprint": self._fingerprint, "reason": reason})
        checkpoints.point(self._run, "last", saved.name)
        if best:
            checkpoints.point(self._run, "best", saved.name)
        size = sum(file.stat().st_size for file in saved.path.iterdir())
        self._reporter.say(CheckpointSaved(step=step, name=saved.name, bytes=size, best=best, reason=reason))
        if self._reporter.request() is Request.CHECKPOINT:
            self._reporter.acknowledge(Request.CHECKPOINT, step)  # There it is, whyever it was saved.
        pointed = checkpoints.pointed(self._run, "best")
        checkpoints.prune(self._run, self._keep, {pointed.name} if pointed else ())
        if self._reporter.is_overtaken:
            return  # The attempt that goes on may need them.
        for parent in lineage(self._run)[1:]:
            # This run has a checkpoint of its own by now; of its parents' only the best one may still be wanted.
            checkpoints.clear(parent, loop.progress.best_step)


def checkpoint_in(run: RunFolder, step: int) -> Path | None:
    """Return a checkpoint of a step that verifies, of a run or those that it resumes."""
    for each in lineage(run):
        found = checkpoints.at(each.checkpoints_dir / f"checkpoint-{step}")
        if found is not None:
            return found.path
    return None


def lineage(run: RunFolder) -> list[RunFolder]:
    """Return the run, the run that it resumes, and so on."""
    runs: list[RunFolder] = []
    current: RunFolder | None = run
    while current is not None:
        runs.append(current)
        current = current.parent()
    return runs


def starting_point(run: RunFolder, fingerprint: str) -> Path | None:
    """Return the checkpoint from which a run starts, if it resumes another.

    Raises:
        NothingToResume: the run resumes another one, and no checkpoint of that one verifies.
        ResumeDiffers: data, template or base weights are not those that the checkpoint was made with.
    """
    header = run.header()
    if header.parent is None and header.start is None:
        return None
    found = checkpoints.start_of(run)
    if found is None:
        raise NothingToResume(header.start or header.parent or run.id)
    was = str(found.meta.get("fingerprint", ""))
    if was != fingerprint:
        what = "the fingerprint of data, chat template and base model"
        raise ResumeDiffers(header.parent or run.id, what, was[:12] or "unknown", fingerprint[:12])
    return found.path
