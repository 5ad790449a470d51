"""Which number format is computed in, and which the 4-bit weights of a base are computed in."""

from __future__ import annotations

from typing import Final

from tunesmith.planning.known import Known
from tunesmith.spec.errors import PrecisionUnusable
from tunesmith.spec.recipe import Method, Precision, QuantizationRecipe

HALF: Final = Precision.FP16


def settle_precision(known: Known) -> Precision:
    """Return the format that was typed, or the best that device and family have.

    Raises:
        PrecisionUnusable: 16 bits were typed, and the device or the family has no use for them.
    """
    typed = known.recipe.precision
    _refuse_half("--dtype", typed, known)
    if known.family.kind == "detector" and typed not in (None, Precision.FP32):
        raise PrecisionUnusable("--dtype", typed.value, "the sides of boxes need more digits than 16 bits have", "fp32")
    precision = known.choices.settle("recipe.precision", typed, lambda: choose_precision(known))
    if precision is Precision.BF16 and not known.device.bf16:
        known.choices.warn("This device has no fast bf16; fp32 (--dtype fp32) is quicker here.")
    return precision


def choose_precision(known: Known) -> tuple[Precision, str]:
    """Return bf16 where device and family are quick in it, else fp16 on a GPU where the family bears it, else fp32."""
    device = known.device.kind
    if known.family.kind == "detector":
        return Precision.FP32, "the sides of boxes need more digits than 16 bits have"
    if known.device.bf16:
        return Precision.BF16, f"the {device} computes in it; trained weights keep 32-bit masters"
    if device == "cpu":
        return Precision.FP32, "the cpu does not compute in bf16"
    if known.family.fp16:
        return Precision.FP16, "the GPU has no bf16; trained weights keep 32-bit masters"
    return Precision.FP32, f"the GPU has no bf16, and {known.kin} overflow in fp16"


def settle_quantization(known: Known, method: Method, precision: Precision) -> QuantizationRecipe:
    """Return how the base is stored; where it is not in 4 bits, what was typed of it has no effect.

    Raises:
        PrecisionUnusable: fp16 was typed for the computation, on a CPU or for a family that overflows in it.
    """
    asked = known.recipe.quantization
    if method is not Method.QLORA:
        if asked.model_fields_set:
            known.choices.warn("The base is not stored in 4 bits: what was given for its quantization has no effect.")
        return asked
    _refuse_half("--quant-compute-dtype", asked.compute, known)
    compute = known.choices.settle("recipe.quantization.compute", asked.compute, lambda: (precision, "the run's own"))
    if not known.typed("quantization", "kind"):
        known.choices.note("recipe.quantization.kind", asked.kind, "16 values spread like those of weights (QLoRA)")
    if not known.typed("quantization", "double"):
        known.choices.note("recipe.quantization.double", asked.double, "on request: it saves 0.4 bits a weight")
    return asked.model_copy(update={"compute": compute})


def _refuse_half(flag: str, typed: Precision | None, known: Known) -> None:
    if typed is not HALF:
        return
    if known.device.kind == "cpu":
        better = Precision.BF16 if known.device.bf16 else Precision.FP32
        raise PrecisionUnusable(flag, "fp16", "a CPU takes a hundred times longer in it than in bf16", better.value)
    if not known.family.fp16:
        better = Precision.BF16 if known.device.bf16 else Precision.FP32
        raise PrecisionUnusable(flag, "fp16", f"{known.kin} overflow in it", better.value)
