"""Which weights are trained: the method, the adapter and its targets, the learning rate that goes with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tunesmith.planning.by_size import FULL_RATE, QUANTIZED_RATE, size_class
from tunesmith.planning.known import Known
from tunesmith.planning.memory import GIB
from tunesmith.spec.errors import BadValue, MissingTarget, PackageMissing, WillNotFit
from tunesmith.spec.recipe import AdapterRecipe, Method, Optimizer

ALL_LINEAR: Final = "all-linear"
"""A target name that stands for every linear layer, as in PEFT."""
SMALL: Final = "a small adapter: less memory, and the base stays whole"


def settle_method(known: Known, memory_of: Callable[[Method], int]) -> Method:
    """Return the typed method, else LoRA, or QLoRA where LoRA cannot fit.

    ``memory_of`` returns what a method takes at its smallest, in bytes.

    Raises:
        BadValue: a family whose base cannot be stored in 4 bits, or that has no layers for an adapter.
        PackageMissing: the typed method or optimizer needs bitsandbytes.
        WillNotFit: raised by ``memory_of``.
    """
    typed = known.recipe.method
    if typed is not None and typed.bits is not None:
        if typed.bits == 8 and not known.family.eight_bit:
            raise BadValue("--method", typed.value, f"lora: {known.kin} do not bear 8 bits")
        if typed.bits == 4 and not known.family.four_bit:
            others = "lora or lora-8bit" if known.family.eight_bit else "lora"
            raise BadValue("--method", typed.value, f"{others}: {known.kin} do not bear 4 bits")
        if not known.device.quantizes:
            raise PackageMissing("bitsandbytes", "train")
    if typed is not None and typed.adapts and known.family.targets == ():
        if not known.choices.suggests("recipe.method"):
            raise BadValue("--method", typed.value, f"full: {known.kin} have no layers for an adapter")
        known.choices.drop("recipe.method", f"{typed} was suggested, and {known.kin} have no layers for an adapter")
        typed = None
    if typed is not None and known.choices.suggests("recipe.method") and not known.spec.force:
        typed = _if_it_fits(known, typed, memory_of)
    method = known.choices.settle("recipe.method", typed, lambda: _choose_method(known, memory_of))
    if method is Method.FULL and _typed_of_adapter(known):
        known.choices.warn("Every weight is trained (method full): what was given for the adapter has no effect.")
    paged = known.recipe.optimizer is Optimizer.PAGED_ADAMW_8BIT
    if (paged or known.recipe.optimizer is Optimizer.ADAMW_BNB_8BIT) and not known.device.quantizes:
        raise PackageMissing("bitsandbytes", "train")
    if paged and known.device.kind == "cpu":
        known.choices.warn("A CPU has no other memory to page to: paged_adamw_8bit runs as adamw_bnb_8bit.")
    return method


def may_quantize(known: Known) -> bool:
    """Whether the base could be stored in 4 bits here."""
    return known.device.quantizes and known.family.four_bit and known.model.linear_parameters > 0


def settle_adapter(known: Known, method: Method) -> AdapterRecipe:
    """Return the adapter; full training has none and leaves its settings as they are.

    Raises:
        MissingTarget: a typed target that the model lacks.
    """
    asked, settle = known.recipe.adapter, known.choices.settle
    if not method.adapts:
        return asked
    rank = settle("recipe.adapter.rank", asked.rank, lambda: _choose_rank(known))
    alpha = settle("recipe.adapter.alpha", asked.alpha, lambda: (2.0 * rank, "twice the rank"))
    targets = settle("recipe.adapter.targets", _typed_targets(known), lambda: _choose_targets(known))
    return asked.model_copy(update={"rank": rank, "alpha": alpha, "targets": targets})


def rank_and_weights(known: Known) -> tuple[int, int]:
    """Return the rank that an adapter has or would have, and how many weights.

    Raises:
        MissingTarget: a typed target that the model lacks.
    """
    rank = known.recipe.adapter.rank or _choose_rank(known)[0]
    targets = _typed_targets(known) or _choose_targets(known)[0]
    return rank, rank * sum(known.model.linear_widths.get(target, 0) for target in targets)


def choose_rate(known: Known, method: Method) -> tuple[float, str]:
    """Return the rate of the model's size, by mode and method."""
    size, mode, task = size_class(known.model.parameters), known.mode, known.by_task
    base, whose = (size.learning_rate, size.name) if task.base_rate is None else (task.base_rate, known.task)
    rate = base * mode.rate
    reason = f"{base:g} for {whose}, x {mode.rate:g} for mode {mode.name}"
    whole = known.family.whole_rate or task.whole_rate
    if method is Method.FULL and whole is not None:
        why = f"usual for {known.kin if known.family.whole_rate else known.task} trained whole"
        rate, reason = whole * mode.rate, f"{whole:g}, {why}, x {mode.rate:g} for mode {mode.name}"
    elif method is Method.FULL:
        rate, reason = rate * FULL_RATE, f"{reason}, x {FULL_RATE:g} as every weight is trained"
    if method.bits is not None:
        rate, reason = rate * QUANTIZED_RATE, f"{reason}, x {QUANTIZED_RATE:g} for a base in {method.bits} bits"
    if known.by_task.rate != 1:
        rate, reason = rate * known.by_task.rate, f"{reason}, x {known.by_task.rate:g} for {known.task}"
    if known.recipe.learning_rate_multiplier != 1:
        factor = known.recipe.learning_rate_multiplier
        rate, reason = rate * factor, f"{reason}, x {factor:g} as asked"
    return float(f"{rate:.3g}"), reason


def _if_it_fits(known: Known, suggested: Method, memory_of: Callable[[Method], int]) -> Method | None:
    """Return the suggested method; None where it cannot fit and another one may."""
    try:
        memory_of(suggested)
    except WillNotFit as problem:
        needed, there = problem.needed / GIB, problem.available / GIB
        why = f"{suggested} was suggested, which needs {needed:.1f} GiB, and {there:.1f} GiB are there"
        known.choices.drop("recipe.method", why)
        return None
    return suggested


def _choose_method(known: Known, memory_of: Callable[[Method], int]) -> tuple[Method, str]:
    if known.family.targets == ():
        return Method.FULL, f"every weight: {known.kin} have no layers for an adapter"
    try:
        memory_of(Method.LORA)
    except WillNotFit as problem:
        if not may_quantize(known):
            return Method.LORA, SMALL
        needed = f"LoRA needs {problem.needed / GIB:.1f} GiB and {problem.available / GIB:.1f} GiB are there"
        return Method.QLORA, f"an adapter on a base in 4 bits: {needed}"
    return Method.LORA, SMALL


def _choose_rank(known: Known) -> tuple[int, str]:
    if known.by_task.rank is not None:
        return known.by_task.rank, f"what {known.task} is usually learned with"
    size = size_class(known.model.parameters)
    return size.rank, f"{size.name} ({known.model.parameters / 1e6:,.0f}M)"


def _typed_of_adapter(known: Known) -> bool:
    return any(known.typed("adapter", name) for name in AdapterRecipe.model_fields)


def _typed_targets(known: Known) -> list[str] | None:
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


def _choose_targets(known: Known) -> tuple[list[str], str]:
    there, family = known.model.linear_layers, known.family
    listed = list(family.targets or ())
    if listed and set(listed) <= set(there):
        return listed, f"documented for {known.kin}"
    if listed:
        return list(there), f"all linear layers: this model lacks some of those documented for {known.kin}"
    return list(there), f"all linear layers: no list is documented for {known.kin}"
