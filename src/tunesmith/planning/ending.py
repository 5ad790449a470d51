"""How long a run is, how its learning rate goes, and what may end it early."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunesmith.modalities import task_of
from tunesmith.modalities.base import RUNNING_TEXT
from tunesmith.planning.choices import GIVEN
from tunesmith.planning.known import Known
from tunesmith.spec.errors import BadValue
from tunesmith.spec.job import Evaluation
from tunesmith.spec.modes import CIRCULAR, GROWS_EVERY, LARGEST_GROWN, grown_batch
from tunesmith.spec.plan import DataFacts
from tunesmith.spec.recipe import LOSS, BatchRecipe, Recipe, Schedule, StoppingRecipe


@dataclass(frozen=True)
class Distance:
    """How far a run goes; None where there is no end."""

    steps: int | None
    passes: float | None
    """Over the rows that are trained on."""


def settle_epochs(known: Known) -> float | None:
    """Return the passes over the data; None for a mode that has no end."""

    def choose() -> tuple[float | None, str]:
        if mode.name == CIRCULAR:
            return float(asked.circular.cycles), "mode circular: as many cycles at most"
        if mode.epochs is None:
            return None, f"mode {mode.name} goes on until it is stopped"
        share = known.by_task.epochs
        if share == 1:
            return float(mode.epochs), f"mode {mode.name}"
        return float(max(1, round(mode.epochs * share))), f"mode {mode.name}, x {share:.2g} for {known.task}"

    asked, mode = known.recipe, known.mode
    epochs, reason = (asked.epochs, GIVEN) if asked.epochs is not None else choose()
    known.choices.note("recipe.epochs", epochs, reason)
    if asked.epochs is not None and known.typed("circular", "cycles") and mode.name == CIRCULAR:
        known.choices.warn("--epochs says how many cycles there are: --max-circular-epochs has no effect.")
    return epochs


def settle_schedule(known: Known, epochs: float | None) -> Schedule:
    """Return how the learning rate goes.

    Raises:
        BadValue: a run without an end has no length to spread the typed one over.
    """
    asked = known.recipe
    schedule = known.choices.settle("recipe.schedule", asked.schedule, lambda: _choose_schedule(known, epochs))
    if epochs is None and asked.max_steps is None and schedule is not Schedule.CONSTANT:
        wanted = "constant, as a run without an end has no length to spread another over (or --max-steps)"
        raise BadValue("--schedule", schedule.value, wanted)
    return schedule


def _choose_schedule(known: Known, epochs: float | None) -> tuple[Schedule, str]:
    usual = known.by_task.schedule
    if usual is not None and epochs is not None:
        return Schedule(usual), f"usual for {known.task}"
    return Schedule(known.mode.schedule), f"mode {known.mode.name}"


def settle_warmup(known: Known, steps: int | None) -> int | None:
    """Return the steps of the warm-up where the task has a number of its own that is short for a run of ``steps``."""
    asked, usual = known.recipe.warmup_steps, known.by_task.warmup_steps
    typed = asked is not None or known.typed("warmup_ratio")
    if typed or usual is None or (steps is not None and steps < 10 * usual):
        return asked
    return known.choices.settle("recipe.warmup_steps", None, lambda: (usual, f"usual for {known.task}"))


def settle_stopping(known: Known) -> StoppingRecipe:
    """Fill in the thresholds: running text has a higher loss, so it is judged more mildly."""
    asked, settle = known.recipe.stopping, known.choices.settle
    metric = settle("recipe.stopping.metric", _typed_metric(known), lambda: _choose_metric(known))
    if metric != LOSS:
        return _by_metric(known, metric)
    running = known.data.kinds.keys() <= RUNNING_TEXT
    why = "for running text, whose loss is higher" if running else "for all but running text"
    patience = settle(
        "recipe.stopping.patience", asked.patience, lambda: _usual_patience(known) or (5 if running else 3, why)
    )
    threshold = settle(
        "recipe.stopping.overfitting_threshold", asked.overfitting_threshold, lambda: (0.2 if running else 0.1, why)
    )
    perfect = settle("recipe.stopping.perfect_loss", asked.perfect_loss, lambda: (0.5 if running else 0.01, why))
    _warn_of_forced(known)
    changes = {"metric": metric, "patience": patience, "overfitting_threshold": threshold, "perfect_loss": perfect}
    return asked.model_copy(update=changes)


def _by_metric(known: Known, metric: str) -> StoppingRecipe:
    """Leave the stops that go by the loss off: it rises with a model's certainty while the metric still gets better."""
    asked, settle = known.recipe.stopping, known.choices.settle
    why = f"off: {_name(metric)} judges, which may get better while the loss rises"
    without = f"evaluations without a better {_name(metric)}"
    patience = settle(
        "recipe.stopping.patience", asked.patience, lambda: _usual_patience(known, f"{without}, ") or (3, without)
    )
    for field in ("overfitting_threshold", "perfect_loss"):
        if getattr(asked, field) is None:
            known.choices.note(f"recipe.stopping.{field}", None, why)
    _warn_of_forced(known)
    return asked.model_copy(update={"metric": metric, "patience": patience})


def _usual_patience(known: Known, before: str = "") -> tuple[int, str] | None:
    """Return the patience that the task has of its own."""
    usual = known.by_task.patience
    return None if usual is None else (usual, f"{before}usual for {known.task}")


def _warn_of_forced(known: Known) -> None:
    if known.recipe.force_epochs and any(known.typed("stopping", name) for name in StoppingRecipe.model_fields):
        known.choices.warn("--force-epochs turns every automatic stop off: what was given for them has no effect.")


def _choose_metric(known: Known) -> tuple[str, str]:
    own = task_of(known.task).judged_by
    return (
        (own, f"what {known.task} is for; equal ones are told apart by the loss") if own else (LOSS, "on held-out rows")
    )


def _typed_metric(known: Known) -> str | None:
    """Return the typed metric as the task spells it.

    Raises:
        BadValue: the task does not measure it.
    """
    typed, task = known.recipe.stopping.metric, task_of(known.task)
    possible = [*([task.judged_by] if task.judged_by else []), *task.may_judge]
    if typed in (None, LOSS):
        return typed
    found = next((name for name in possible if typed.lstrip("-") == name.lstrip("-")), None)
    if found is None:
        raise BadValue("--stopping-metric", typed, " or ".join([LOSS, *map(_name, possible)]))
    return found


def _name(metric: str) -> str:
    return metric.lstrip("-")


def warn_of_idle(known: Known, schedule: Schedule) -> None:
    """Warn of what was given for a mode or a schedule that is not this run's."""
    if known.mode.name != CIRCULAR and known.recipe.circular.model_fields_set:
        known.choices.warn(f"Mode {known.mode.name} has no cycles: what was given for mode circular has no effect.")
    if known.typed("schedule_cycles") and schedule is not Schedule.COSINE_WITH_RESTARTS:
        known.choices.warn(f"Schedule {schedule.value} has no waves: --schedule-cycles has no effect.")
    if known.typed("decay_ratio") and schedule is not Schedule.WSD:
        known.choices.warn(f"Schedule {schedule.value} has no decay of its own: --decay-ratio has no effect.")


def held_out(evaluation: Evaluation) -> float:
    """Return the share of the rows that are not trained on, for validation and for the test."""
    return (evaluation.validation_split or 0.0) + evaluation.test_split


def distance(data: DataFacts, recipe: Recipe, split: float, device: str) -> Distance:
    """Return how far a settled recipe goes; ``split`` is the share of rows held out."""
    if recipe.epochs is None:
        passes = None if recipe.max_steps is None else recipe.max_steps / steps_per_epoch(data, recipe.batch, split)
        return Distance(recipe.max_steps, passes)
    whole = _steps_to(recipe.epochs, data, recipe, split, device)
    if recipe.max_steps is None or whole <= recipe.max_steps:
        return Distance(whole, recipe.epochs)
    return Distance(recipe.max_steps, recipe.epochs * recipe.max_steps / whole)


def steps_per_epoch(data: DataFacts, batch: BatchRecipe, split: float) -> int:
    """Return the optimizer steps of one pass over what is not held out, an incomplete last one among them."""
    return math.ceil(_sequences(data, split) / ((batch.size or 1) * (batch.accumulation or 1)))


def _steps_to(epochs: float, data: DataFacts, recipe: Recipe, split: float, device: str) -> int:
    """Add up the steps of the passes, whose batch grows in mode circular."""
    growth = recipe.circular.batch_multiplier if recipe.mode == CIRCULAR else 1.0
    if growth <= 1:
        return math.ceil(epochs * steps_per_epoch(data, recipe.batch, split))
    rows, begin = _sequences(data, split), (recipe.batch.size or 1) * (recipe.batch.accumulation or 1)
    largest, steps = min(LARGEST_GROWN[device], rows), 0.0
    for first in range(0, math.ceil(epochs), GROWS_EVERY):
        batch = grown_batch(begin, growth, first, largest)
        steps += min(GROWS_EVERY, epochs - first) * math.ceil(rows / batch)
    return math.ceil(steps)


def _sequences(data: DataFacts, split: float) -> int:
    rows = data.rows - int(data.rows * split)
    return max(1, round(rows * data.sequences_per_row))
