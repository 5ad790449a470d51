"""LoRA files of pipelines: the names that diffusers gives their tensors, and those of kohya's scripts.

Files of either kind say nothing of dropout, targets or rsLoRA, and readers differ in where they look for the scale, so
it is multiplied into the second factor: alpha is the rank, and every reader computes what was trained.
Sources: https://huggingface.co/docs/diffusers/api/loaders/lora and networks/lora.py of
https://github.com/kohya-ss/sd-scripts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from tunesmith.training.adapter_files import ADAPTER_PREFIX, saved_name

DIFFUSERS_FILE: Final = "pytorch_lora_weights.safetensors"
KOHYA_FILE: Final = "kohya_lora.safetensors"
OWNERS: Final = {"unet": "unet", "encoders.0": "text_encoder", "encoders.1": "text_encoder_2"}
"""Parts of what is trained, by the names that diffusers gives them."""
KOHYA: Final = {"unet": "lora_unet", "text_encoder": "lora_te", "text_encoder_2": "lora_te2"}
FACTORS: Final = {"lora_A": "lora_down", "lora_B": "lora_up", "lora_magnitude_vector": "dora_scale"}
_SGM: Final = (
    (re.compile(r"^down_blocks\.(\d+)\.(attentions|resnets)\.(\d+)"), "input_blocks"),
    (re.compile(r"^up_blocks\.(\d+)\.(attentions|resnets)\.(\d+)"), "output_blocks"),
)
_MIDDLE: Final = {"mid_block.attentions.0": "middle_block.1", "mid_block.resnets.0": "middle_block.0",
                  "mid_block.resnets.1": "middle_block.2"}  # fmt: skip


def lora_of(weights: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Return an adapter's tensors by diffusers' names; ``weights`` are those of a ``Denoiser`` by their own."""
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        owner = next(part for part in OWNERS if name.startswith(f"{part}."))
        inner = saved_name(name.removeprefix(f"{owner}.").removeprefix(ADAPTER_PREFIX))
        if owner != "unet" and not inner.startswith("text_model."):
            inner = f"text_model.{inner}"  # As pipelines on disk name it, whatever the library's classes call it.
        value = weight * scale if ".lora_B." in name else weight
        found[f"{OWNERS[owner]}.{inner}"] = value.contiguous()
    return found


def weights_of(lora: Mapping[str, Tensor], names: Iterable[str], scale: float) -> dict[str, Tensor]:
    """Return the weights of a ``Denoiser`` that ``lora_of`` made a file of; ``names`` are those of its parameters."""
    found: dict[str, Tensor] = {}
    for name in names:
        [(told, divided)] = lora_of({name: torch.ones(())}, scale).items()
        if told in lora:
            found[name] = lora[told] / divided
    return found


def kohya_of(lora: Mapping[str, Tensor], layers: int | None) -> dict[str, Tensor]:
    """Return the same tensors by kohya's names.

    ``layers`` are the layers of a block of an SDXL UNet, whose blocks kohya numbers as the original did; None: the
    UNet's blocks keep diffusers' names.
    """
    found: dict[str, Tensor] = {}
    for name, weight in lora.items():
        owner, _, inner = name.partition(".")
        module, factor = _divided(inner)
        if owner == "unet" and layers is not None:
            module = _original(module, layers)
        start = "lora_te1" if owner == "text_encoder" and layers is not None else KOHYA[owner]
        key = f"{start}_{module.replace('.', '_')}"
        found[f"{key}.{FACTORS[factor]}{'' if factor == 'lora_magnitude_vector' else '.weight'}"] = weight
        if factor == "lora_A":
            found[f"{key}.alpha"] = torch.tensor(float(len(weight)))
    return found


def write_lora(folder: Path, lora: Mapping[str, Tensor], layers: int | None) -> None:
    """Write an adapter as diffusers opens it, and beside it with kohya's names."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(lora), folder / DIFFUSERS_FILE, metadata={"format": "pt"})
    save_file(kohya_of(lora, layers), folder / KOHYA_FILE, metadata={"format": "pt"})


def _divided(name: str) -> tuple[str, str]:
    """Return the module and the factor that a tensor's name says."""
    factor = next(each for each in FACTORS if f".{each}" in name)
    return name.partition(f".{factor}")[0], factor


def _original(module: str, layers: int) -> str:
    """Return the name of an SDXL module as its authors numbered it."""
    for here, there in _MIDDLE.items():
        if module.startswith(here):
            return module.replace(here, there, 1)
    for pattern, blocks in _SGM:
        if found := pattern.match(module):
            block, kind, layer = int(found[1]), found[2], int(found[3])
            place = block * (layers + 1) + layer + (1 if blocks == "input_blocks" else 0)
            return f"{blocks}.{place}.{1 if kind == 'attentions' else 0}{module[found.end() :]}"
    return module
