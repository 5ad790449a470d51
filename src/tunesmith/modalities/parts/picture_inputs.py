"""Pictures and tokens as the models that read both want them: tensors by the models' own names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from tunesmith.modalities.parts.picture_rules import ALIKE, PictureRule, Pixels, in_patches, in_rows, normalised

MARKED: Final = {"gemma3": "token_type_ids", "qwen2_vl": "mm_token_type_ids"}
"""What models call the tensor that is 1 where a token stands for a part of a picture, those that want one."""


def picture_inputs(
    model_type: str, held: Sequence[Pixels], rule: PictureRule, device: torch.device, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Return what a model reads of pictures, all of a batch in their order; nothing where there are none."""
    if not held:
        return {}
    made = [normalised(pixels, rule) for pixels in held]
    if rule.way == "grid":
        grids = [[1, each.shape[1] // rule.patch, each.shape[2] // rule.patch] for each in made]
        patches = np.concatenate([in_patches(each, rule) for each in made])
        return {
            "pixel_values": torch.from_numpy(patches).to(device, dtype),
            "image_grid_thw": torch.tensor(grids, device=device),
        }
    if rule.way == "patches":
        values = torch.zeros(len(made), rule.most, rule.patch * rule.patch * 3)
        mask = torch.zeros(len(made), rule.most, dtype=torch.int32)
        for row, each in enumerate(made):
            patches = in_rows(each, rule)
            values[row, : len(patches)] = torch.from_numpy(patches)
            mask[row, : len(patches)] = 1
        shapes = [[each.shape[1] // rule.patch, each.shape[2] // rule.patch] for each in made]
        return {
            "pixel_values": values.to(device, dtype), "pixel_attention_mask": mask.to(device),
            "spatial_shapes": torch.tensor(shapes, device=device),
        }  # fmt: skip
    values = torch.from_numpy(np.stack(made)).to(device, dtype)
    return {"pixel_values": values.unsqueeze(0) if rule.way == "twice" else values}


def marks(model_type: str, ids: Tensor, token: int) -> dict[str, Tensor]:
    """Return where tokens stand for pictures, to models that want to be told."""
    name = MARKED.get(ALIKE.get(model_type, model_type))
    return {name: (ids == token).long()} if name else {}


def format_of(model: Any) -> torch.dtype:
    """Return the number format in which a model's own weights are, adapters and stored bits aside."""
    found = (p.dtype for name, p in model.named_parameters() if p.is_floating_point() and "lora_" not in name)
    return next(found, torch.float32)
