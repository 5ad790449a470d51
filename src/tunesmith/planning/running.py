"""How the worker goes about a settled recipe: which attention, how fast, how long."""

from __future__ import annotations

import math
from typing import Final

from tunesmith.planning import speed
from tunesmith.planning.ending import Distance, held_out
from tunesmith.planning.known import Known
from tunesmith.spec.job import Evaluation, Resources
from tunesmith.spec.plan import Execution, settled
from tunesmith.spec.recipe import Precision, Recipe

FLASH: Final = "flash_attention_2"
"""transformers' name of the attention that the flash-attn package computes."""


def path_of_rows(known: Known, length: int) -> str:
    """Return how rows are computed: fused, documents or stock."""
    window = known.model.window
    seen_whole = window is None or window >= length
    decoder = known.model.kind == "decoder"
    if known.family.attention == "stock" or not known.recipe.batch.joined or not seen_whole or not decoder:
        return "stock"
    return "fused" if known.family.fused and not known.recipe.adapter.dora else "documents"


def execution_of(known: Known, recipe: Recipe, resources: Resources) -> Execution:
    """Freeze what the worker must not decide again."""
    path = path_of_rows(known, settled(recipe.length, "recipe.length"))
    attention = _attention(known, path, settled(recipe.precision, "recipe.precision"))
    known.choices.note("execution.attention", attention, _why_attention(known, path, attention))
    return Execution(
        device=known.device.kind,
        processes=resources.processes,
        threads=settled(resources.threads, "resources.threads"),
        attention=attention,
        fused=path == "fused",
        family=known.family.name,
        tokens_per_second=speed.tokens_per_second(
            known.model,
            known.device,
            method=settled(recipe.method, "recipe.method"),
            precision=settled(recipe.precision, "recipe.precision"),
            checkpointing=bool(recipe.gradient_checkpointing),
            processes=resources.processes,
        ),
    )


def duration(known: Known, recipe: Recipe, evaluation: Evaluation, execution: Execution, run: Distance) -> float | None:
    """Return the seconds that a run takes; None where there is no end."""
    if run.steps is None or run.passes is None:
        return None
    length = settled(recipe.length, "recipe.length")
    row_tokens = known.data.mean_within(length) * known.data.sequences_per_row
    rows = known.data.rows
    return speed.seconds(
        (rows - int(rows * held_out(evaluation))) * row_tokens * run.passes,
        int(rows * (evaluation.validation_split or 0.0)) * row_tokens,
        speed=execution.tokens_per_second,
        method=settled(recipe.method, "recipe.method"),
        steps=run.steps,
        evaluations=max(run.steps // settled(recipe.evaluate_every, "recipe.evaluate_every"), math.ceil(run.passes)),
    )


def _attention(known: Known, path: str, precision: Precision) -> str:
    if path != "stock":
        return "documents"
    flash = known.device.flash and known.family.flash and precision is not Precision.FP32
    return FLASH if flash else "stock"


def _why_attention(known: Known, path: str, attention: str) -> str:
    if path != "stock":
        return f"the fast path for joined rows, tested to be equal for {known.kin}"
    if attention == FLASH:
        return f"the flash-attn package is installed, and {known.kin} bear it"
    if known.model.kind == "encoder":
        return "a model that sees both sides runs its own"
    if known.family.attention == "stock":
        return f"the fast path for joined rows is not tested for {known.kin}"
    if not known.recipe.batch.joined:
        return "rows are not joined"
    return f"the model looks back only {known.model.window} tokens"
