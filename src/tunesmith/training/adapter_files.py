"""An adapter folder as PEFT opens it, from the trained weights of a checkpoint, without the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor

ADAPTER_PREFIX: Final = "base_model.model."
"""What PEFT puts before a module's name."""
OWN: Final = ".modules_to_save.default."
"""What stands in the name of a weight that trains as a whole."""
SIZE: Final = ".lora_magnitude_vector.default.weight"
"""How the name of a DoRA size ends; in a file it is no module and has no weight."""


def write_adapter(folder: Path, config: Any, weights: Mapping[str, Tensor], base: str) -> None:
    """Write the configuration, which is PEFT's, and the weights; ``base`` is the folder or name of the model."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    config.base_model_name_or_path = base
    config.inference_mode = True
    config.save_pretrained(str(folder))
    named = {saved_name(name): weight.contiguous() for name, weight in weights.items()}
    save_file(named, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def saved_name(name: str) -> str:
    """Return what a file calls a parameter of PEFT's wrapper."""
    if name.endswith(SIZE):
        return name.removesuffix(".default.weight")
    return name.replace(OWN, ".").replace(".lora_A.default.", ".lora_A.").replace(".lora_B.default.", ".lora_B.")


def trained_modules(weights: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the modules that train as a whole."""
    return sorted({name.partition(OWN)[0].removeprefix(ADAPTER_PREFIX) for name in weights if OWN in name})
