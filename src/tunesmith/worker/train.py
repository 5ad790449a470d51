"""A training run: prepare, build, train, write and publish the results."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.modalities import counted
from tunesmith.modalities.base import load
from tunesmith.runs import checkpoints, publish
from tunesmith.spec.errors import Cancelled, Paused
from tunesmith.spec.events import Phase, RunSummary, Started, Tested, Warned
from tunesmith.spec.plan import settled
from tunesmith.spec.states import Request
from tunesmith.training.device import join_ranks, peak_memory, set_up
from tunesmith.training.loop import Loop
from tunesmith.worker.charts import Charts
from tunesmith.worker.continuing import origin_of, refuse_other_classes
from tunesmith.worker.keeping import Keeper, lineage, starting_point
from tunesmith.worker.loop_settings import loop_settings
from tunesmith.worker.pictures import Pictures
from tunesmith.worker.prepare import Data, prepare_data
from tunesmith.worker.results import write_results
from tunesmith.worker.samples import Samples

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder
    from tunesmith.spec.plan import Plan
    from tunesmith.training.evaluation import Measured
    from tunesmith.training.pieces import Rows
    from tunesmith.worker.reporting import Reporter


def run(run: RunFolder, reporter: Reporter) -> None:
    """Train as the run's plan says, from the start or from the checkpoint of the run that it resumes.

    Raises:
        Paused, Cancelled: it was asked to end; a paused run has saved its state.
    """
    plan = run.plan()
    ranks = join_ranks(plan.execution.device)
    device = set_up(plan.execution.device, plan.execution.threads, ranks)
    if ranks.first:
        checkpoints.sweep(run)
    else:
        ranks.wait()
    data = prepare_data(run, plan, reporter)
    if ranks.first:
        ranks.wait()
    start = starting_point(run, data.fingerprint)

    reporter.say(Phase(name="loading the model"))
    prepared = data.prepared
    pieces = load(data.task.builder)(plan, prepared.train, prepared.validation, device, labels=prepared.labels)
    refuse_other_classes(run, pieces.about)
    test = pieces.rows(prepared.test)
    for sentence in pieces.warnings:
        reporter.say(Warned(message=sentence))
    samples = _samples(plan, pieces, data) if ranks.first else None
    if samples is not None:
        samples.before(run, reporter)
    pictures = None
    if ranks.first and getattr(pieces, "artist", None) is not None:
        pictures = Pictures(run, plan, pieces, data.prepared.held_out, reporter)
        pictures.before()

    charts = Charts(run.logs_dir, counted(plan)) if plan.spec.output.tensorboard and ranks.first else None
    keeper = Keeper(
        run, reporter, ranks, keep=plan.spec.recipe.checkpoints.keep, fingerprint=data.fingerprint, charts=charts,
        watch=None if pictures is None else pictures.see,
    )  # fmt: skip
    earlier = [parent.path for parent in lineage(run)[1:]]
    # Of a run with checkpoints of its own the one that it continues may be gone.
    begins = start is None or not pieces.is_warm(run.path, earlier)
    loop = Loop(pieces, loop_settings(plan), keeper, device, ranks, origin_of(run, plan) if begins else None)
    pieces.warm_up(run.path, earlier, lambda: reporter.beat(loop.progress.step), ranks)
    if start is not None:
        loop.resume(start)
    reporter.say(_started(plan, loop, data))
    try:
        reason = loop.run()
    finally:
        if charts is not None:
            charts.close()
    if reason in (Request.PAUSE, Request.CANCEL):
        _end(run, reporter, keeper, loop, Request(reason))
    tested = _tested(loop, test, reporter)
    if not ranks.first:
        return
    if samples is not None:
        samples.after(run, reporter)
    if pictures is not None:
        pictures.after(loop.progress.step if loop.weights_of is None else loop.weights_of)
    reporter.say(Phase(name="writing the result"))
    summary = _summary(run, plan, loop, reason, tested, peak_memory(device))
    artifacts = write_results(run, plan, loop, summary)
    publish.publish(artifacts, Path(summary.output), run)
    reporter.finish(summary.model_dump(mode="json"), str(artifacts))


def _samples(plan: Plan, pieces: Any, data: Data) -> Samples:
    evaluation = plan.spec.evaluation
    return Samples(pieces, data.encoder, data.prepared.held_out, evaluation.prompts, evaluation.test_prompts)


def _started(plan: Plan, loop: Loop, data: Data) -> Started:
    return Started(
        step=loop.progress.step,
        total_steps=loop.total,
        epochs=loop.epochs,
        rows=len(data.prepared.train),
        validation_rows=len(data.prepared.validation),
        trainable_parameters=loop.trainables.count,
        parameters=_parameters(plan, loop),
        tokens_per_epoch=data.prepared.train.tokens,
        counts=counted(plan),
    )


def _parameters(plan: Plan, loop: Loop) -> int:
    """Count the parameters that there are: under an adapter those of the base, else those of the model that was built.

    A model trained whole may have a head of another size than its files.
    """
    if settled(plan.spec.recipe.method, "recipe.method").adapts:
        return max(plan.model.parameters, loop.trainables.count)
    return sum(each.numel() for each in loop.pieces.model.parameters())


def _end(run: RunFolder, reporter: Reporter, keeper: Keeper, loop: Loop, request: Request) -> None:
    """End a run that was asked to end; a paused one saves first."""
    reporter.acknowledge(request, loop.progress.step)
    if request is Request.CANCEL:
        raise Cancelled(run.id)
    keeper.save(loop, best=False, reason="paused")
    raise Paused(run.id, loop.progress.step)


def _tested(loop: Loop, rows: Rows | None, reporter: Reporter) -> Measured | None:
    """Measure the result once on the rows that were kept for it; a loss that is no number is no reason to lose it."""
    if rows is None:
        return None
    reporter.say(Phase(name="testing the result"))
    found = loop.measure(rows)
    if not math.isfinite(found.loss):
        reporter.say(Warned(message="The loss on the test rows is not a number, so the result says nothing of a test."))
        return None
    reporter.say(Tested(rows=len(rows.lengths), loss=found.loss, metrics=found.metrics))
    return found


def _summary(run: RunFolder, plan: Plan, loop: Loop, reason: str, tested: Measured | None, peak: int) -> RunSummary:
    progress = loop.progress
    seconds = max(progress.seconds, 1e-9)
    return RunSummary(
        run=run.id,
        state="succeeded",
        steps=progress.step,
        epochs=loop.epoch,
        train_loss=progress.train_loss,
        validation_loss=progress.validation_loss,
        best_validation_loss=progress.best_loss,
        judged_by=None if loop.settings.judge.metric is None else loop.settings.judge.name,
        best=progress.best,
        test_loss=tested.loss if tested else None,
        test_metrics=tested.metrics if tested else {},
        trained_tokens=progress.trained_tokens,
        tokens_per_second=progress.tokens / seconds,
        counts=counted(plan),
        rows_per_second=loop.epoch * loop.rows / seconds,
        peak_memory_bytes=peak,
        seconds=progress.seconds,
        output=run.header().output or plan.spec.output.dir,
        stopped_because=reason,
    )
