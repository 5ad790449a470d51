"""Does an adapter belong on a model that is in memory? There layers may be named otherwise than in its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunesmith.modalities.adapter_fit import ADAPTER_PREFIX, ADAPTER_WEIGHTS, base_names, shapes
from tunesmith.spec.errors import AdapterMismatch


def refuse_other(model: Any, adapter: Path, model_dir: Path) -> None:
    """Refuse an adapter whose layers are not in the model; files may name layers otherwise than the model in memory.

    Raises:
        AdapterMismatch: one is not there, or has another size.
    """
    modules = dict(model.named_modules())
    for name, shape in shapes(adapter / ADAPTER_WEIGHTS):
        layer, is_first, _ = name.removeprefix(ADAPTER_PREFIX).partition(".lora_A.")
        if not is_first:
            continue
        weight = getattr(modules.get(layer), "weight", None)
        if weight is None or weight.shape[1] != shape[1]:
            raise AdapterMismatch(adapter, next(iter(base_names(adapter)), "another model"), model_dir.name)
