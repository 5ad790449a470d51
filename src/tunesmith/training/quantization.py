"""Loading a base model the way its run uses it: in the run's number format, or frozen in 4 or 8 bits.

The numbers that are rounded are those that the model's files hold, layer by layer, each straight onto the device: the
files are mapped, so neither a GPU nor the process ever holds the whole model in full. The output head, the embeddings
and the norms keep the run's number format.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tunesmith.spec.errors import PackageUnusable
from tunesmith.spec.plan import settled
from tunesmith.training.precision import DTYPES

if TYPE_CHECKING:
    from tunesmith.spec.plan import Plan


def load_base(load: Callable[[str], Any], plan: Plan, device: torch.device, keep: Collection[str] = ()) -> Any:
    """Load the model of a plan onto a device; ``load`` takes the name of a number format.

    Layers that ``keep`` names once the model is loaded are not stored in fewer bits: they are trained as a whole.

    Weights that will be trained keep the numbers of the files, where those are finer, in their attribute ``stored``.

    Raises:
        PackageUnusable: the method needs bitsandbytes and it cannot be imported.
    """
    recipe = plan.spec.recipe
    precision = settled(recipe.precision, "recipe.precision")
    method = settled(recipe.method, "recipe.method")
    if method.bits is None:
        model = load(precision if method.adapts else plan.model.dtype)
    else:
        _require_bitsandbytes()
        model = load(plan.model.dtype)
        compute = recipe.quantization.compute if method.bits == 4 else None
        quantize(
            model,
            bits=method.bits,
            kind=recipe.quantization.kind,
            double=recipe.quantization.double,
            compute=DTYPES[compute or precision],
            device=device,
            keep=keep,
        )
    _settle(model, DTYPES[precision], device, keep=not method.adapts)
    return model


def quantize(
    model: Any,
    *,
    bits: int,
    kind: str,
    double: bool,
    compute: torch.dtype,
    device: torch.device,
    keep: Collection[str] = (),
) -> None:
    """Replace the linear layers inside a model, but not its heads, by ones that store 4 or 8 bits on ``device``."""
    from tunesmith.training.stored import EightBit, FourBit

    for parent, name, layer in list(_linear_layers(model, keep)):
        weight = layer.weight.data.t() if hasattr(layer, "nf") else layer.weight.data  # Conv1D of GPT-2 lies crosswise
        bias = layer.bias
        stored: nn.Module
        if bits == 4:
            stored = FourBit(weight, bias, kind=kind, double=double, compute=compute, device=device)
        else:
            stored = EightBit(weight, bias, compute=compute, device=device)
        setattr(parent, name, stored)
        del weight, layer
    setattr(model, f"is_loaded_in_{bits}bit", True)  # by which PEFT knows which layers to look for


def _linear_layers(model: Any, keep: Collection[str]) -> Iterator[tuple[nn.Module, str, Any]]:
    """Yield (parent, name, layer) of every linear layer of the backbone, which excludes the heads."""
    from transformers.pytorch_utils import Conv1D

    kept = [model.get_output_embeddings(), *(model.get_submodule(name) for name in keep)]
    for parent in model.base_model.modules():
        for name, layer in parent.named_children():
            if isinstance(layer, nn.Linear | Conv1D) and not any(layer is other for other in kept):
                yield parent, name, layer


def _settle(model: nn.Module, dtype: torch.dtype, device: torch.device, *, keep: bool) -> None:
    """Bring every parameter to the device and number format, and into memory of its own.

    Mapped files lie at odd addresses, and those show in the last bit of a product.
    """
    for parameter in model.parameters():
        if not parameter.is_floating_point():
            continue
        original = parameter.data
        parameter.data = original.to(device, dtype, copy=True)
        if keep and parameter.requires_grad and dtype not in (torch.float32, original.dtype):
            parameter.stored = original.to(device, torch.float32, copy=True)  # type: ignore[attr-defined]
    for buffer in model.buffers():
        buffer.data = buffer.data.to(device, copy=True)


def _require_bitsandbytes() -> None:
    try:
        import bitsandbytes
        from bitsandbytes.cextension import ErrorHandlerMockBNBNativeLibrary, lib
    except Exception as error:  # A broken native library fails in any way it likes.
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise PackageUnusable("bitsandbytes", f"cannot be imported ({why.rstrip('.')})") from error
    if isinstance(lib, ErrorHandlerMockBNBNativeLibrary):
        found = bitsandbytes.__version__
        raise PackageUnusable("bitsandbytes", f"{found} has no library for this machine's device")
