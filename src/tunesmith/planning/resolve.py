"""A job and what is known of the world become a plan with nothing left open. Pure: no file, no clock, no device.

To choose something else automatically, change one ``choose`` function (``methods.py``, ``precisions.py``,
``batches.py``, ``ending.py``), or a table in ``by_size.py`` or ``by_task.py``, and its row in
``tests/planning/test_resolve.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from pydantic import BaseModel

from tunesmith.modalities import task_of
from tunesmith.modalities.base import Family, Modality
from tunesmith.planning import methods
from tunesmith.planning.batches import fitted_to_memory, reckoned, settle_batch, settle_intervals
from tunesmith.planning.choices import Choices
from tunesmith.planning.ending import (
    distance,
    held_out,
    settle_epochs,
    settle_schedule,
    settle_stopping,
    settle_warmup,
    warn_of_idle,
)
from tunesmith.planning.fitting import Fit, rounded_up
from tunesmith.planning.known import Known
from tunesmith.planning.memory import Workload
from tunesmith.planning.naming import run_name
from tunesmith.planning.precisions import settle_precision, settle_quantization
from tunesmith.planning.running import duration, execution_of, path_of_rows
from tunesmith.planning.suggestions import METHOD, open_suggestions, with_suggestions, without_unfit
from tunesmith.planning.task_choice import choose_task
from tunesmith.spec.errors import BadValue, NeverCut, SplitImpossible
from tunesmith.spec.job import Device, JobSpec, Resources
from tunesmith.spec.plan import DataFacts, DeviceFacts, ModelFacts, Plan, settled
from tunesmith.spec.recipe import Method, Precision, Recipe

VALIDATION_SHARE: Final = 0.1
WHOLE: Final = "the longest of the sampled rows, in patches or frames"


def resolve(
    spec: JobSpec, model: ModelFacts, device: DeviceFacts, data: DataFacts, family: Family, modality: Modality
) -> Plan:
    """Fill in every open field, each with its reason; a typed value is never changed.

    Left open are only those whose absence is a value: ``max_steps`` (no limit), the epochs of a mode without an end,
    revision, limits, the template.

    Raises:
        BadValue: a typed value that this model or this data cannot have.
        MissingTarget: a typed target that the model lacks.
        NoTaskFits, WrongKindOfModel: no task trains this model on this data.
        SplitImpossible: a typed share of the rows is none of them.
        PrecisionUnusable, PackageMissing: the machine cannot do what was typed.
        WillNotFit: the memory estimate exceeds what the device has, and the job is not forced.
    """
    asked, suggested = spec, open_suggestions(spec)
    spec = with_suggestions(spec)
    choices = Choices(spec, suggested)
    spec = without_unfit(spec, model, device, data, family, choices)
    known = Known(spec, model, device, data, family, choices)
    name = choices.settle("name", spec.name, lambda: (run_name(spec), "from the model's and the data's names"))
    task = choose_task(spec.task, model, data, modality.tasks, choices)
    known = replace(known, task=task)
    options = modality.options.model_validate(spec.options)
    resources = _resources(known)
    _refuse_impossible_shares(known)
    evaluation = spec.evaluation.model_copy(update={"validation_split": _split(known)})
    split = held_out(evaluation)
    recipe, fitted = _recipe(known, split)
    _warn_of_options(known, options, recipe)
    execution = execution_of(known, recipe, resources)
    _warn_of_data(known, recipe)
    choices.note_typed()
    choices.note_suggested(_unused(recipe))
    run = distance(data, recipe, split, device.kind)
    return Plan(
        spec=spec.model_copy(
            update={
                "name": name,
                "task": task,
                "options": options.model_dump(mode="json"),
                "recipe": recipe,
                "evaluation": evaluation,
                "resources": resources,
            }
        ),
        model=model,
        device=device,
        data=data,
        execution=execution,
        decisions=choices.decisions,
        memory=fitted.memory,
        steps=run.steps,
        seconds=duration(known, recipe, evaluation, execution, run),
        warnings=choices.warnings,
        length_chosen=spec.recipe.length is None,
        split_chosen="evaluation.validation_split" in suggested or asked.evaluation.validation_split is None,
    )


def _warn_of_options(known: Known, options: BaseModel, recipe: Recipe) -> None:
    """Say which options were given a value without effect, and which leave an adapter nothing to do.

    A field of options says beside its flag what it is for: ``task``, kinds of ``models``, ``whole`` (method full);
    and ``head_alone`` is the task in which it trains nothing but the head.
    """
    adapts = settled(recipe.method, METHOD).adapts
    for name, field in type(options).model_fields.items():
        if getattr(options, name) == field.get_default():
            continue
        extra: dict[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        flag = f"--no-{extra['flag'][2:]}" if field.get_default() is True else extra["flag"]
        if extra.get("task", known.task) != known.task:
            known.choices.warn(f"{flag} is for {extra['task']}: it has no effect in {known.task}.")
        elif known.model.kind not in extra.get("models", [known.model.kind]):
            known.choices.warn(f"{flag} is for other models: it has no effect on {known.kin}.")
        elif adapts and extra.get("whole"):
            known.choices.warn(f"{flag} is for method full: it has no effect beside an adapter.")
        elif adapts and extra.get("head_alone") == known.task:
            known.choices.warn(f"{flag} trains the head alone: what an adapter is made of has no effect.")


def _unused(recipe: Recipe) -> list[str]:
    """Return the beginnings of the paths that say nothing of what the method trains."""
    method = settled(recipe.method, METHOD)
    adapter = [] if method.adapts else ["recipe.adapter."]
    return adapter if method is Method.QLORA else [*adapter, "recipe.quantization."]


def _recipe(known: Known, split: float) -> tuple[Recipe, Fit]:
    asked, settle, mode = known.recipe, known.choices.settle, known.mode
    known.choices.note("recipe.mode", mode.name, "given" if "mode" in asked.model_fields_set else mode.summary)
    length = _settle_length(known)
    precision = settle_precision(known)
    method = methods.settle_method(known, lambda method: _least(known, method, length, precision))
    adapter = methods.settle_adapter(known, method)
    quantization = settle_quantization(known, method, precision)
    work = _workload(known, method, length, precision)
    fitted = fitted_to_memory(known, work, force=known.spec.force)
    batch = settle_batch(known, fitted, method, length)
    epochs = settle_epochs(known)
    schedule = settle_schedule(known, epochs)
    warn_of_idle(known, schedule)
    stopping = settle_stopping(known)
    if "optimizer" not in asked.model_fields_set:
        known.choices.note("recipe.optimizer", asked.optimizer, "the usual one; others keep less in memory")
    rate = settle("recipe.learning_rate", asked.learning_rate, lambda: methods.choose_rate(known, method))
    evaluate_every, checkpoints = settle_intervals(known, batch, split)
    changes = {
        "method": method,
        "adapter": adapter,
        "quantization": quantization,
        "length": length,
        "batch": batch,
        "epochs": epochs,
        "learning_rate": rate,
        "schedule": schedule,
        "stopping": stopping,
        "precision": precision,
        "gradient_checkpointing": fitted.checkpointing,
        "evaluate_every": evaluate_every,
        "checkpoints": checkpoints,
    }
    recipe = asked.model_copy(update=changes)
    warmup = settle_warmup(known, distance(known.data, recipe, split, known.device.kind).steps)
    return recipe.model_copy(update={"warmup_steps": warmup}), reckoned(work, fitted, batch)


def _workload(known: Known, method: Method, length: int, precision: Precision) -> Workload:
    rank, weights = methods.rank_and_weights(known)
    return Workload(
        model=known.model,
        method=method,
        rank=rank,
        adapter_weights=weights,
        precision=precision,
        device=known.device.kind,
        path=path_of_rows(known, length),
        tokens=length,
        longest=min(length, known.data.lengths["max"]),
        trained_share=known.data.trained_share,
        checkpointing=False,
        available=known.device.memory,
        optimizer=known.recipe.optimizer,
        double=known.recipe.quantization.double,
        may_quantize=methods.may_quantize(known),
    )


def _least(known: Known, method: Method, length: int, precision: Precision) -> int:
    """Return what a method takes in the portions that suit it.

    Raises:
        WillNotFit: no portions fit.
    """
    return fitted_to_memory(known, _workload(known, method, length, precision), force=False).memory.total


# --- the machine ---


def _resources(known: Known) -> Resources:
    asked, device = known.spec.resources, known.device
    if asked.device is Device.AUTO:
        known.choices.note("resources.device", device.kind, f"what is there: {device.name}")
    threads = known.choices.settle(
        "resources.threads",
        asked.threads,
        lambda: (max(1, device.cores // asked.processes), f"{device.cores} cores for {asked.processes} process(es)"),
    )
    return asked.model_copy(update={"device": Device(device.kind), "threads": threads})


# --- the data ---


def _split(known: Known) -> float:
    """Return the share of rows held out, and warn where that is none of them."""

    def choose() -> tuple[float, str]:
        if known.data.own_validation or any(dataset.validation for dataset in known.spec.datasets):
            return 0.0, "validation has its own data"
        held_out = int(known.data.rows * VALIDATION_SHARE)
        if held_out:
            return VALIDATION_SHARE, f"{held_out} of {_rows(known.data)} rows"
        few = f"{_rows(known.data)} {'row is' if known.data.rows == 1 else 'rows are'} too few to hold any out"
        known.choices.warn(f"{few[0].upper()}{few[1:]}: training without validation.")
        return (0.0 if known.data.exact else VALIDATION_SHARE), few

    return known.choices.settle("evaluation.validation_split", known.spec.evaluation.validation_split, choose)


def _refuse_impossible_shares(known: Known) -> None:
    """Refuse typed shares as the run would; how few rows are, where they are only estimated, the run alone knows.

    Raises:
        SplitImpossible: a share for validation or for the test is none of the rows, or both are all of them.
    """
    evaluation, rows = known.spec.evaluation, known.data.rows
    shares = (
        ("--validation-split", evaluation.validation_split, _brings(known, "validation")),
        ("--test-split", evaluation.test_split, _brings(known, "test")),
    )
    for flag, share, has_own_data in shares:
        if share and known.data.exact and not has_own_data and not int(rows * share):
            raise SplitImpossible(share, rows, flag)
    if held_out(evaluation) >= 1 and not any(has_own_data for *_, has_own_data in shares):
        raise SplitImpossible(held_out(evaluation), rows, "--validation-split plus --test-split")


def _brings(known: Known, side: str) -> bool:
    """Whether the data has rows of its own for a side."""
    own = known.data.own_validation if side == "validation" else known.data.own_test
    return own or any(getattr(each, side) for each in known.spec.datasets)


def _settle_length(known: Known) -> int:
    task = task_of(known.task)
    if not task.cuts:
        if known.recipe.length is not None and not known.choices.suggests("recipe.length"):
            if task.counts == "token":
                return known.choices.settle(
                    "recipe.length", known.recipe.length, lambda: (known.recipe.length or 0, "")
                )
            raise NeverCut(known.recipe.length)
        if known.choices.suggests("recipe.length"):
            known.choices.drop("recipe.length", f"{known.recipe.length} was suggested, and nothing is cut here")
        longest = known.data.lengths["max"]
        return known.choices.settle("recipe.length", None, lambda: (max(16, longest), f"{WHOLE}, and rows stay whole"))
    length = known.choices.settle("recipe.length", known.recipe.length, lambda: _choose_length(known))
    if length > known.model.max_length:
        raise BadValue("--max-seq-length", length, f"at most {known.model.max_length}, which is all the model can see")
    return length


def _choose_length(known: Known) -> tuple[int, str]:
    longest, limit = known.data.lengths["max"], known.model.max_length
    enough = known.by_task.length
    if enough is not None and enough < min(longest, limit):
        return enough, f"the beginning of a text tells its class; the longest of a sample has {longest} tokens"
    if longest > limit:
        return limit, f"all that the model can see; the longest row of a sample has {longest} tokens"
    needed = min(rounded_up(longest), max(16, limit))
    return needed, f"the longest of {known.data.sampled} sampled rows has {longest} tokens"


def _warn_of_data(known: Known, recipe: Recipe) -> None:
    data, length = known.data, recipe.length
    if data.faults:
        known.choices.warn(
            f"{data.faults} of {data.sampled} sampled rows cannot be used and are "
            f"{'refused (--strict)' if known.spec.strict else 'skipped'}; `tunesmith data check` names them."
        )
    if data.misnamed:
        known.choices.warn(f"--columns names a column '{data.misnamed}', which no row of a sample has.")
    if length is not None and data.lengths["max"] > length:
        share = next((name for name in ("p50", "p95", "p99") if data.lengths[name] > length), None)
        often = f"more than {100 - int(share[1:])} in 100" if share else "fewer than 1 in 100"
        known.choices.warn(f"{often} rows are longer than {length} tokens; what is beyond is cut and counted.")


def _rows(data: DataFacts) -> str:
    return f"{data.rows}" if data.exact else f"about {data.rows}"
