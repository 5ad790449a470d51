"""A job and what is known of the world become a plan with nothing left open. Pure: no file, no clock, no device.

To choose something else automatically, change one ``_choose`` function here, or a table in ``by_size.py``, and its row
in ``tests/planning/test_resolve.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tunesmith.modalities.base import Family, Modality
from tunesmith.planning import speed
from tunesmith.planning.by_size import FULL_RATE, size_class
from tunesmith.planning.choices import Choices
from tunesmith.planning.fitting import Fit, fit, rounded_up
from tunesmith.planning.memory import GIB, Workload
from tunesmith.planning.naming import run_name
from tunesmith.planning.task_choice import choose_task
from tunesmith.spec.errors import BadValue, MissingTarget
from tunesmith.spec.job import Device, JobSpec, Resources
from tunesmith.spec.modes import MODES, Mode
from tunesmith.spec.plan import DataFacts, DeviceFacts, Execution, ModelFacts, Plan
from tunesmith.spec.recipe import AdapterRecipe, BatchRecipe, Method, Precision, Recipe, Schedule, StoppingRecipe

ALL_LINEAR: Final = "all-linear"
"""A target name that stands for every linear layer, as in PEFT."""
LARGEST_BATCH: Final = 16
"""Rows per batch that the plan chooses, at most."""
VALIDATION_SHARE: Final = 0.1
FEW_ROWS, MANY_ROWS = 1000, 100_000
"""Below the first, evaluations are at most 50 steps apart; above the second, at least 5,000."""


@dataclass(frozen=True)
class _Known:
    """Everything that a choice may look at."""

    spec: JobSpec
    model: ModelFacts
    device: DeviceFacts
    data: DataFacts
    family: Family
    choices: Choices

    @property
    def recipe(self) -> Recipe:
        return self.spec.recipe

    @property
    def mode(self) -> Mode:
        return MODES[self.spec.recipe.mode]

    @property
    def kin(self) -> str:
        """The model's family, or its own type where no family names it."""
        return f"{self.family.name if self.family.model_types else self.model.model_type} models"


def resolve(
    spec: JobSpec, model: ModelFacts, device: DeviceFacts, data: DataFacts, family: Family, modality: Modality
) -> Plan:
    """Fill in every open field, each with its reason; a typed value is never changed.

    Left open are only those whose absence is a value: ``max_steps`` (no limit), revision, limits, the template.

    Raises:
        BadValue: a typed value that this model or this data cannot have.
        MissingTarget: a typed target that the model lacks.
        WillNotFit: the memory estimate exceeds what the device has, and the job is not forced.
    """
    known = _Known(spec, model, device, data, family, choices := Choices(spec))
    name = choices.settle("name", spec.name, lambda: (run_name(spec), "from the model's and the data's names"))
    task = choose_task(spec.task, data, modality.tasks, choices)
    options = modality.options.model_validate(spec.options)
    resources = _resources(known)
    split = _split(known)
    recipe, fitted = _recipe(known, split, resources)
    execution = _execution(known, recipe, resources)
    _warn_of_data(known, recipe)
    choices.note_typed()
    steps, seconds = _duration(known, recipe, split, execution)
    return Plan(
        spec=spec.model_copy(
            update={
                "name": name,
                "task": task,
                "options": options.model_dump(mode="json"),
                "recipe": recipe,
                "evaluation": spec.evaluation.model_copy(update={"validation_split": split}),
                "resources": resources,
            }
        ),
        model=model,
        device=device,
        data=data,
        execution=execution,
        decisions=choices.decisions,
        memory=fitted.memory,
        steps=steps,
        seconds=seconds,
        warnings=choices.warnings,
        length_chosen=spec.recipe.length is None,
        split_chosen=spec.evaluation.validation_split is None,
    )


# --- the machine ---


def _resources(known: _Known) -> Resources:
    asked, device = known.spec.resources, known.device
    if asked.device is Device.AUTO:
        known.choices.note("resources.device", device.kind, f"what is there: {device.name}")
    threads = known.choices.settle(
        "resources.threads",
        asked.threads,
        lambda: (max(1, device.cores // asked.processes), f"{device.cores} cores for {asked.processes} process(es)"),
    )
    return asked.model_copy(update={"device": Device(device.kind), "threads": threads})


def _choose_precision(known: _Known) -> tuple[Precision, str]:
    if known.device.bf16:
        return Precision.BF16, f"the {known.device.kind} computes in it; trained weights keep 32-bit masters"
    return Precision.FP32, f"the {known.device.kind} does not compute in bf16"


# --- the data ---


def _split(known: _Known) -> float:
    """Return the share of rows held out, and warn where that is none of them."""

    def choose() -> tuple[float, str]:
        if any(dataset.validation for dataset in known.spec.datasets):
            return 0.0, "validation has its own data"
        return VALIDATION_SHARE, f"{int(known.data.rows * VALIDATION_SHARE)} of {_rows(known.data)} rows"

    share = known.choices.settle("evaluation.validation_split", known.spec.evaluation.validation_split, choose)
    held_out = int(known.data.rows * share)
    if share and not held_out and known.spec.evaluation.validation_split is None:
        known.choices.warn(f"{known.data.rows} rows are too few to hold any out: training without validation.")
    return share


def _choose_length(known: _Known) -> tuple[int, str]:
    longest, limit = known.data.lengths["max"], known.model.max_length
    if longest > limit:
        return limit, f"all that the model can see; the longest row of a sample has {longest} tokens"
    needed = min(rounded_up(longest), max(16, limit))
    return needed, f"the longest of {known.data.sampled} sampled rows has {longest} tokens"


def _warn_of_data(known: _Known, recipe: Recipe) -> None:
    data, length = known.data, recipe.length
    if data.faults:
        known.choices.warn(
            f"{data.faults} of {data.sampled} sampled rows cannot be used and are "
            f"{'refused (--strict)' if known.spec.strict else 'skipped'}; `tunesmith data check` names them."
        )
    if length is not None and data.lengths["max"] > length:
        share = next((name for name in ("p50", "p95", "p99") if data.lengths[name] > length), None)
        often = f"more than {100 - int(share[1:])} in 100" if share else "fewer than 1 in 100"
        known.choices.warn(f"{often} rows are longer than {length} tokens; what is beyond is cut and counted.")


def _rows(data: DataFacts) -> str:
    return f"{data.rows}" if data.exact else f"about {data.rows}"


# --- the recipe ---


def _recipe(known: _Known, split: float, resources: Resources) -> tuple[Recipe, Fit]:
    asked, settle, mode = known.recipe, known.choices.settle, known.mode
    reason = mode.summary if "mode" not in asked.model_fields_set else "given"
    known.choices.note("recipe.mode", mode.name, reason)
    method = settle(
        "recipe.method", asked.method, lambda: (Method.LORA, "a small adapter: less memory, and the base stays whole")
    )
    adapter, weights = _adapter(known, method)
    length = settle("recipe.length", asked.length, lambda: _choose_length(known))
    if length > known.model.max_length:
        raise BadValue("--max-seq-length", length, f"at most {known.model.max_length}, which is all the model can see")
    precision = settle("recipe.precision", asked.precision, lambda: _choose_precision(known))
    if precision is Precision.BF16 and not known.device.bf16:
        known.choices.warn("This device has no fast bf16; fp32 (--dtype fp32) is quicker here.")
    work = Workload(
        model=known.model,
        method=method,
        adapter_weights=weights,
        precision=precision,
        device=known.device.kind,
        path=_path(known, length),
        tokens=length,
        longest=min(length, known.data.lengths["max"]),
        trained_share=known.data.trained_share,
        checkpointing=False,
        available=known.device.memory,
    )
    batch, fitted = _batch(known, work)
    epochs = settle("recipe.epochs", asked.epochs, lambda: (float(mode.epochs or 100), f"mode {mode.name}"))
    schedule = settle("recipe.schedule", asked.schedule, lambda: (Schedule(mode.schedule), f"mode {mode.name}"))
    stopping = _stopping(known)
    rate = settle("recipe.learning_rate", asked.learning_rate, lambda: _choose_rate(known, method))
    evaluate_every = settle(
        "recipe.evaluate_every", asked.evaluate_every, lambda: _choose_interval(known, batch, split)
    )
    save_every = settle(
        "recipe.checkpoints.every_steps", asked.checkpoints.every_steps, lambda: (evaluate_every, "at every evaluation")
    )
    changes = {
        "method": method,
        "adapter": adapter,
        "length": length,
        "batch": batch,
        "epochs": epochs,
        "learning_rate": rate,
        "schedule": schedule,
        "stopping": stopping,
        "precision": precision,
        "gradient_checkpointing": fitted.checkpointing,
        "evaluate_every": evaluate_every,
        "checkpoints": asked.checkpoints.model_copy(update={"every_steps": save_every}),
    }
    return asked.model_copy(update=changes), fitted


def _stopping(known: _Known) -> StoppingRecipe:
    """Fill in the thresholds: running text has a higher loss, so it is judged more mildly."""
    asked, settle, running = known.recipe.stopping, known.choices.settle, set(known.data.kinds) == {"text"}
    why = "running text" if running else "answers"
    patience = settle("recipe.stopping.patience", asked.patience, lambda: (5 if running else 3, why))
    threshold = settle(
        "recipe.stopping.overfitting_threshold", asked.overfitting_threshold, lambda: (0.2 if running else 0.1, why)
    )
    perfect = settle("recipe.stopping.perfect_loss", asked.perfect_loss, lambda: (0.5 if running else 0.01, why))
    changes = {"patience": patience, "overfitting_threshold": threshold, "perfect_loss": perfect}
    return asked.model_copy(update=changes)


def _adapter(known: _Known, method: Method) -> tuple[AdapterRecipe, int]:
    """Return the adapter and how many weights it has; full training has none and leaves its settings as they are."""
    asked = known.recipe.adapter
    if method is Method.FULL:
        if asked.model_fields_set and any(getattr(asked, name) is not None for name in asked.model_fields_set):
            known.choices.warn("Every weight is trained (method full): what was given for the adapter has no effect.")
        return asked, 0
    size = size_class(known.model.parameters)
    count = f"{known.model.parameters / 1e6:,.0f}M"
    rank = known.choices.settle("recipe.adapter.rank", asked.rank, lambda: (size.rank, f"{size.name} ({count})"))
    alpha = known.choices.settle("recipe.adapter.alpha", asked.alpha, lambda: (2.0 * rank, "twice the rank"))
    targets = _typed_targets(known)
    targets = known.choices.settle("recipe.adapter.targets", targets, lambda: _choose_targets(known))
    weights = rank * sum(known.model.linear_widths.get(target, 0) for target in targets)
    return asked.model_copy(update={"rank": rank, "alpha": alpha, "targets": targets}), weights


def _typed_targets(known: _Known) -> list[str] | None:
    """Return the targets that were typed, each of which the model must have."""
    typed, there = known.recipe.adapter.targets, known.model.linear_layers
    if typed is None:
        return None
    if typed == [ALL_LINEAR]:
        return list(there)
    for target in typed:
        if target not in there:
            raise MissingTarget(target, there)
    return typed


def _choose_targets(known: _Known) -> tuple[list[str], str]:
    there, family = known.model.linear_layers, known.family
    listed = list(family.targets or ())
    if listed and set(listed) <= set(there):
        return listed, f"documented for {known.kin}"
    if listed:
        return list(there), f"all linear layers: this model lacks some of those documented for {known.kin}"
    return list(there), f"all linear layers: no list is documented for {known.kin}"


def _batch(known: _Known, work: Workload) -> tuple[BatchRecipe, Fit]:
    """Choose portions first, by memory; then rows per batch, by portions; then batches per step, by the mode."""
    asked, mode, settle = known.recipe.batch, known.mode, known.choices.settle
    at_most = asked.size or max(1, mode.effective_batch // (asked.accumulation or 1))
    rows = at_most * (asked.accumulation or max(1, mode.effective_batch // at_most))
    checkpointing = known.recipe.gradient_checkpointing
    fitted = fit(
        work,
        batch_tokens=rows * work.longest,
        micro_tokens=asked.micro_tokens,
        checkpointing=checkpointing,
        force=known.spec.force,
    )
    micro = settle("recipe.batch.micro_tokens", asked.micro_tokens, lambda: (fitted.micro_tokens, _why_micro(fitted)))
    settle("recipe.gradient_checkpointing", checkpointing, lambda: _why_checkpointing(fitted))
    size = settle("recipe.batch.size", asked.size, lambda: _choose_size(known, micro, at_most))
    accumulation = settle(
        "recipe.batch.accumulation",
        asked.accumulation,
        lambda: (max(1, mode.effective_batch // size), f"mode {mode.name} aims at {mode.effective_batch} rows a step"),
    )
    return asked.model_copy(update={"size": size, "accumulation": accumulation, "micro_tokens": micro}), fitted


def _why_micro(fitted: Fit) -> str:
    return f"computed at once; about {fitted.memory.total / GIB:.1f} of {fitted.memory.available / GIB:.1f} GiB memory"


def _why_checkpointing(fitted: Fit) -> tuple[bool, str]:
    if fitted.checkpointing:
        return True, "without it the run does not fit in memory; steps take about a third longer"
    return False, "memory suffices without it"


def _choose_size(known: _Known, micro_tokens: int, at_most: int) -> tuple[int, str]:
    """Take the largest power of two whose rows are computed at once."""
    mean = max(1.0, known.data.mean_length)
    fits = [
        2**power for power in range(11) if 2**power <= min(LARGEST_BATCH, at_most) and 2**power * mean <= micro_tokens
    ]
    size = fits[-1] if fits else 1
    return size, f"rows have {mean:.0f} tokens on average, {micro_tokens} are computed at once"


def _choose_rate(known: _Known, method: Method) -> tuple[float, str]:
    size, mode = size_class(known.model.parameters), known.mode
    rate = size.learning_rate * mode.rate
    reason = f"{size.learning_rate:g} for {size.name}, x {mode.rate:g} for mode {mode.name}"
    if method is Method.FULL:
        return float(f"{rate * FULL_RATE:.3g}"), f"{reason}, x {FULL_RATE:g} as every weight is trained"
    return float(f"{rate:.3g}"), reason


def _choose_interval(known: _Known, batch: BatchRecipe, split: float) -> tuple[int, str]:
    epoch = steps_per_epoch(known.data, batch, split)
    share, rows = known.mode.evaluation_share, known.data.rows
    steps = max(10, round(epoch * share))
    if rows > MANY_ROWS:
        steps = max(steps, 5000)
    if rows < FEW_ROWS:
        steps = min(steps, 50)
    if steps >= epoch:
        return epoch, f"once an epoch of {epoch} steps"
    return steps, f"mode {known.mode.name}: {share:.0%} of an epoch of {epoch} steps, at least 10"


# --- how it will go ---


def _path(known: _Known, length: int) -> str:
    """Return how rows are computed: fused, documents or stock."""
    window = known.model.window
    seen_whole = window is None or window >= length
    if known.family.attention == "stock" or not known.recipe.batch.joined or not seen_whole:
        return "stock"
    return "fused" if known.family.fused else "documents"


def _execution(known: _Known, recipe: Recipe, resources: Resources) -> Execution:
    path = _path(known, recipe.length or 0)
    attention = "stock" if path == "stock" else "documents"
    known.choices.note("execution.attention", attention, _why_attention(known, path))
    assert recipe.method is not None and recipe.precision is not None and resources.threads is not None
    return Execution(
        device=known.device.kind,
        processes=resources.processes,
        threads=resources.threads,
        attention=attention,
        fused=path == "fused",
        family=known.family.name,
        tokens_per_second=speed.tokens_per_second(
            known.model,
            known.device,
            method=recipe.method,
            precision=recipe.precision,
            checkpointing=bool(recipe.gradient_checkpointing),
            processes=resources.processes,
        ),
    )


def _why_attention(known: _Known, path: str) -> str:
    if known.family.attention == "stock":
        return f"the fast path for joined rows is not tested for {known.kin}"
    if not known.recipe.batch.joined:
        return "rows are not joined"
    if path == "stock":
        return f"the model looks back only {known.model.window} tokens"
    return f"the fast path for joined rows, tested to be equal for {known.kin}"


def _duration(known: _Known, recipe: Recipe, split: float, execution: Execution) -> tuple[int, float]:
    """Return the optimizer steps and the seconds that the run will take."""
    assert recipe.epochs is not None and recipe.evaluate_every is not None and recipe.method is not None
    epoch, steps = steps_per_epoch(known.data, recipe.batch, split), total_steps(known.data, recipe, split)
    row_tokens = known.data.mean_length * known.data.sequences_per_row
    held_out = int(known.data.rows * split)
    seconds = speed.seconds(
        (known.data.rows - held_out) * row_tokens * steps / epoch,
        held_out * row_tokens,
        speed=execution.tokens_per_second,
        method=recipe.method,
        steps=steps,
        evaluations=max(steps // recipe.evaluate_every, math.ceil(steps / epoch)),
    )
    return steps, seconds


def total_steps(data: DataFacts, recipe: Recipe, split: float) -> int:
    """Return the optimizer steps of a settled recipe; ``split`` is the share of rows held out."""
    steps = math.ceil((recipe.epochs or 1) * steps_per_epoch(data, recipe.batch, split))
    return steps if recipe.max_steps is None else min(steps, recipe.max_steps)


def steps_per_epoch(data: DataFacts, batch: BatchRecipe, split: float) -> int:
    """Return the optimizer steps of one pass over what is not held out, an incomplete last one among them."""
    rows = data.rows - int(data.rows * split)
    sequences = max(1, round(rows * data.sequences_per_row))
    return math.ceil(sequences / ((batch.size or 1) * (batch.accumulation or 1)))
