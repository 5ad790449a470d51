"""From a plan to the loop's plain parameters; a plan leaves none of them open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tunesmith.modalities import counted, task_of
from tunesmith.spec.modes import ADAPTIVE, CIRCULAR, LARGEST_GROWN, NON_STOP
from tunesmith.spec.plan import settled
from tunesmith.spec.recipe import LOSS
from tunesmith.training.course import Course
from tunesmith.training.loop_settings import LoopSettings
from tunesmith.training.schedules import Curve
from tunesmith.training.stopping import Judge, Thresholds

if TYPE_CHECKING:
    from tunesmith.spec.plan import Plan
    from tunesmith.spec.recipe import Recipe

NEVER: Final = Thresholds()
"""No automatic stop at all."""


def loop_settings(plan: Plan) -> LoopSettings:
    """Return what the loop is told."""
    recipe = plan.spec.recipe
    return LoopSettings(
        seed=plan.spec.seed,
        course=_course(recipe, plan.execution.device),
        micro_tokens=settled(recipe.batch.micro_tokens, "recipe.batch.micro_tokens"),
        optimizer=recipe.optimizer,
        learning_rate=settled(recipe.learning_rate, "recipe.learning_rate"),
        curve=Curve(settled(recipe.schedule, "recipe.schedule"), recipe.schedule_cycles, recipe.decay_ratio),
        warmup_ratio=recipe.warmup_ratio,
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        evaluate_every=settled(recipe.evaluate_every, "recipe.evaluate_every"),
        save_every=settled(recipe.checkpoints.every_steps, "recipe.checkpoints.every_steps"),
        judge=Judge(
            None if recipe.stopping.metric in (None, LOSS) else recipe.stopping.metric, recipe.stopping.min_delta
        ),
        precision=settled(recipe.precision, "recipe.precision"),
        stops=_stops(plan),
        adaptive=recipe.mode == ADAPTIVE,
        forced=recipe.force_epochs,
        counts=counted(plan),
    )


def _course(recipe: Recipe, device: str) -> Course:
    size = settled(recipe.batch.size, "recipe.batch.size")
    circular, endless = recipe.mode == CIRCULAR, recipe.mode == NON_STOP
    return Course(
        batch=size * settled(recipe.batch.accumulation, "recipe.batch.accumulation"),
        epochs=recipe.epochs if endless else settled(recipe.epochs, "recipe.epochs"),
        max_steps=recipe.max_steps,
        growth=recipe.circular.batch_multiplier if circular else 1.0,
        largest_batch=LARGEST_GROWN[device],
        lands=endless,
    )


def _stops(plan: Plan) -> Thresholds:
    """Return the automatic stops of the mode: cycling never runs out of patience, and what has no end never stops.

    What a plan leaves open of them is switched off. Only the loss of a token stands for a perplexity, and can explode.
    """
    recipe = plan.spec.recipe
    if recipe.force_epochs or recipe.mode == NON_STOP:
        return NEVER
    stopping, circular = recipe.stopping, recipe.mode == CIRCULAR
    tokens = task_of(plan.spec.task).counts == "token"
    return Thresholds(
        patience=None if circular else settled(stopping.patience, "recipe.stopping.patience"),
        overfitting=stopping.overfitting_threshold,
        min_evaluations=stopping.min_evaluations,
        perfect_loss=stopping.perfect_loss,
        perplexity_limit=None if circular or not tokens else stopping.perplexity_limit,
    )
