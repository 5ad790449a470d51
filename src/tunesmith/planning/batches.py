"""How rows are portioned: tokens computed at once, rows per batch, batches per step, steps between evaluations."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tunesmith.modalities import task_of
from tunesmith.planning.ending import steps_per_epoch
from tunesmith.planning.fitting import Fit, fit
from tunesmith.planning.known import Known
from tunesmith.planning.memory import GIB, Workload, estimate
from tunesmith.runs.memory_limits import way_of
from tunesmith.spec.modes import CIRCULAR
from tunesmith.spec.recipe import BatchRecipe, CheckpointRecipe, Method

LARGEST_BATCH: Final = 16
"""Rows per batch that the plan chooses, at most."""
FEW_ROWS, MANY_ROWS = 1000, 100_000
"""Below the first, evaluations are at most 50 steps apart; above the second, at least 5,000."""


def fitted_to_memory(known: Known, work: Workload, *, force: bool) -> Fit:
    """Choose portions by memory.

    Raises:
        WillNotFit: nothing fits, and it is not forced.
    """
    asked = known.recipe.batch
    at_most = _largest_size(known)
    rows = at_most * (asked.accumulation or max(1, _aim(known) // at_most))
    return fit(
        work,
        batch_tokens=rows * work.longest,
        micro_tokens=asked.micro_tokens,
        checkpointing=known.recipe.gradient_checkpointing,
        force=force,
        at_once=(known.by_task.rows_at_once or 0) * work.longest,
    )


def settle_batch(known: Known, fitted: Fit, method: Method, length: int) -> BatchRecipe:
    """Take the portions that fit; then rows per batch, by portions; then batches per step, by the mode."""
    asked, settle = known.recipe.batch, known.choices.settle
    learned = known.device.learned.get(way_of(method, length, checkpointing=fitted.checkpointing))
    micro = settle("recipe.batch.micro_tokens", asked.micro_tokens, lambda: _choose_micro(fitted, learned))
    settle(
        "recipe.gradient_checkpointing",
        known.recipe.gradient_checkpointing,
        lambda: _why_checkpointing(fitted, method),
    )
    size = settle("recipe.batch.size", asked.size, lambda: _choose_size(known, micro, length))
    accumulation = settle(
        "recipe.batch.accumulation",
        asked.accumulation,
        lambda: (max(1, _aim(known) // size), f"{_aimed_by(known)} aims at {_aim(known)} rows a step"),
    )
    return asked.model_copy(update={"size": size, "accumulation": accumulation, "micro_tokens": micro})


def reckoned(work: Workload, fitted: Fit, batch: BatchRecipe) -> Fit:
    """Return the portions with the memory that the settled batch takes: a step may hold less than was looked for."""
    rows = (batch.size or 1) * (batch.accumulation or 1)
    tokens = min(batch.micro_tokens or fitted.micro_tokens, rows * work.longest)
    return replace(fitted, memory=estimate(work.with_tokens(tokens, checkpointing=fitted.checkpointing)))


def settle_intervals(known: Known, batch: BatchRecipe, split: float) -> tuple[int, CheckpointRecipe]:
    """Return the steps between evaluations, and the checkpoints that go with them."""
    asked, settle = known.recipe, known.choices.settle
    evaluate_every = settle(
        "recipe.evaluate_every", asked.evaluate_every, lambda: _choose_interval(known, batch, split)
    )
    save_every = settle(
        "recipe.checkpoints.every_steps", asked.checkpoints.every_steps, lambda: _choose_saving(known, evaluate_every)
    )
    return evaluate_every, asked.checkpoints.model_copy(update={"every_steps": save_every})


def _aim(known: Known) -> int:
    """Return the rows of a step that are aimed at."""
    return known.by_task.effective_batch or known.mode.effective_batch


def _aimed_by(known: Known) -> str:
    return known.task if known.by_task.effective_batch else f"mode {known.mode.name}"


def _largest_size(known: Known) -> int:
    asked = known.recipe.batch
    return asked.size or max(1, min(LARGEST_BATCH, _aim(known) // (asked.accumulation or 1)))


def _choose_micro(fitted: Fit, learned: int | None) -> tuple[int, str]:
    if learned is not None and learned < fitted.micro_tokens:
        return learned, "memory ran out above that in an earlier run of this model on this device"
    taken, there = fitted.memory.total / GIB, fitted.memory.available / GIB
    return fitted.micro_tokens, f"computed at once; about {taken:.1f} of {there:.1f} GiB memory"


def _why_checkpointing(fitted: Fit, method: Method) -> tuple[bool, str]:
    if fitted.checkpointing and method is Method.QLORA:
        return True, "QLoRA is for little memory; steps take about a third longer"
    if fitted.checkpointing:
        return True, "without it the run does not fit in memory; steps take about a third longer"
    return False, "memory suffices without it"


def _choose_size(known: Known, micro_tokens: int, length: int) -> tuple[int, str]:
    """Take the largest power of two whose rows are computed at once."""
    mean, at_most = max(1.0, known.data.mean_within(length)), _largest_size(known)
    fits = [2**power for power in range(11) if 2**power <= at_most and 2**power * mean <= micro_tokens]
    size = fits[-1] if fits else 1
    return size, f"rows have {mean:.0f} tokens on average, {micro_tokens} are computed at once"


def _choose_interval(known: Known, batch: BatchRecipe, split: float) -> tuple[int, str]:
    epoch = steps_per_epoch(known.data, batch, split)
    share, rows = max(known.mode.evaluation_share, known.by_task.evaluation_share), known.data.rows
    if known.mode.name == CIRCULAR:
        return epoch, "once a cycle"
    if task_of(known.task).judged_by:
        return (
            epoch,
            f"once an epoch of {_steps(epoch)}: {known.task} is judged by a metric, which a few steps make noisy",
        )
    steps, limit = max(10, round(epoch * share)), ", at least 10"
    if rows > MANY_ROWS and steps < 5000:
        steps, limit = 5000, f", at least 5,000 as there are over {MANY_ROWS:,} rows"
    if rows < FEW_ROWS and steps > 50:
        steps, limit = 50, f", at most 50 as there are under {FEW_ROWS:,} rows"
    if steps >= epoch:
        return epoch, f"once an epoch of {_steps(epoch)}"
    whose = f"mode {known.mode.name}" if share == known.mode.evaluation_share else known.task
    return steps, f"{whose}: {share:.0%} of an epoch of {_steps(epoch)}{limit}"


def _choose_saving(known: Known, evaluate_every: int) -> tuple[int, str]:
    steps = known.by_task.save_every
    if steps is None:
        return evaluate_every, "at every evaluation"
    return steps, f"usual for {known.task}; an evaluation that is better is saved too"


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"
