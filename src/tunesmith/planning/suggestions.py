"""What a way in takes for open fields (``JobSpec.suggested``): taken where model, data and machine can have it.

A suggestion is no typed value: it gives way instead of being refused, nobody is warned that it has no effect, and a
decision says what became of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from tunesmith.modalities.base import Family
from tunesmith.planning.choices import Choices
from tunesmith.planning.precisions import HALF
from tunesmith.spec.errors import BadEntry, UnknownKey
from tunesmith.spec.job import JobSpec
from tunesmith.spec.modes import NON_STOP
from tunesmith.spec.plan import DataFacts, DeviceFacts, ModelFacts
from tunesmith.spec.recipe import Optimizer, Schedule

WHERE: Final = "suggested"
IN_BITS: Final = frozenset({Optimizer.ADAMW_BNB_8BIT, Optimizer.PAGED_ADAMW_8BIT})
"""Optimizers that need bitsandbytes."""
METHOD: Final = "recipe.method"
LENGTH: Final = "recipe.length"


def with_suggestions(spec: JobSpec) -> JobSpec:
    """Return the job with each suggestion in its open field, which still counts as not given.

    Raises:
        UnknownKey, BadEntry: a suggestion for a field that no job has, or a value that the field cannot have.
    """
    for path in open_suggestions(spec):
        spec = _with(spec, path.split("."), spec.suggested[path], path)
    return spec


def open_suggestions(spec: JobSpec) -> list[str]:
    """Return the paths whose field was left open.

    Raises:
        UnknownKey: a path that no job has.
    """
    return [path for path in spec.suggested if not _is_given(spec, path)]


def without_unfit(
    spec: JobSpec, model: ModelFacts, device: DeviceFacts, data: DataFacts, family: Family, choices: Choices
) -> JobSpec:
    """Leave open again what was suggested and this model, data or machine cannot have; each time with its reason.

    Whether a method fits in memory is decided where methods are (``methods.py``).
    """
    for path, why in _unfit(spec, model, device, data, family):
        if choices.suggests(path):
            choices.drop(path, why)
            spec = _with(spec, path.split("."), _default(spec, path.split(".")), path)
    if choices.suggests(LENGTH) and spec.recipe.length is not None and spec.recipe.length > model.max_length:
        choices.suggest(LENGTH, f"{spec.recipe.length} were suggested, and this is all that the model can see")
        spec = _with(spec, LENGTH.split("."), model.max_length, LENGTH)
    return spec


def _unfit(
    spec: JobSpec, model: ModelFacts, device: DeviceFacts, data: DataFacts, family: Family
) -> Iterator[tuple[str, str]]:
    """Yield each path whose value could not be had, and why; typed ones are among them."""
    recipe, there = spec.recipe, model.linear_layers
    missing = [target for target in recipe.adapter.targets or () if target not in (*there, "all-linear")]
    if missing:
        yield "recipe.adapter.targets", f"the model has no {', '.join(missing)}, which was suggested"
    half = "fp16, which was suggested, is of no use " + ("on a CPU" if device.kind == "cpu" else "to this family")
    unusable = device.kind == "cpu" or not family.fp16
    if recipe.precision is HALF and unusable:
        yield "recipe.precision", half
    if recipe.quantization.compute is HALF and unusable:
        yield "recipe.quantization.compute", half
    bits = recipe.method.bits if recipe.method is not None else None
    if bits is not None and not device.quantizes:
        yield METHOD, f"{recipe.method} was suggested, and bitsandbytes is not installed"
    elif bits == 4 and not family.four_bit:
        yield METHOD, f"{recipe.method} was suggested, and the family does not bear 4 bits"
    if recipe.optimizer in IN_BITS and not device.quantizes:
        yield "recipe.optimizer", f"{recipe.optimizer} was suggested, and bitsandbytes is not installed"
    if recipe.schedule not in (None, Schedule.CONSTANT) and recipe.mode == NON_STOP and recipe.max_steps is None:
        yield "recipe.schedule", f"{recipe.schedule} was suggested, and a run without an end has no length for it"
    for name in ("validation_split", "test_split"):
        share = getattr(spec.evaluation, name)
        if share and data.exact and not int(data.rows * share):
            yield f"evaluation.{name}", f"{share:g} was suggested, which is none of {data.rows} rows"


def _is_given(part: Any, path: str) -> bool:
    """Whether a field was typed; null is as good as left out."""
    *parents, last = path.split(".")
    for name in parents:
        part = _entry(part, name, path)
    if isinstance(part, dict):
        return last in part
    return _entry(part, last, path) is not None and last in part.model_fields_set


def _entry(part: Any, name: str, path: str) -> Any:
    if isinstance(part, dict):
        return part.get(name, {})
    if not isinstance(part, BaseModel) or name not in type(part).model_fields:
        raise UnknownKey(path, WHERE, type(part).model_fields if isinstance(part, BaseModel) else ())
    return getattr(part, name)


def _with(part: Any, names: Sequence[str], value: Any, path: str) -> Any:
    """Return a part of a job with a value in it; what was not given counts as not given all the same."""
    name, *rest = names
    if rest:
        value = _with(_entry(part, name, path), rest, value, path)
    if isinstance(part, dict):
        return {**part, name: value}
    changed = part.model_copy(update={name: value if rest else _checked(part, name, value, path)})
    if name not in part.model_fields_set:
        changed.model_fields_set.discard(name)
    return changed


def _checked(part: BaseModel, name: str, value: Any, path: str) -> Any:
    """Return a value as the field's own type."""
    try:
        return getattr(type(part).model_validate({**dict(part), name: value}), name)
    except ValidationError as error:
        raise BadEntry(path, WHERE, value, error.errors()[0]["msg"].removeprefix("Input should be ")) from error


def _default(part: Any, names: Sequence[str]) -> Any:
    *parents, last = names
    for name in parents:
        part = getattr(part, name)
    return type(part).model_fields[last].get_default(call_default_factory=True)
