"""ADD A MODEL FAMILY HERE: one row of facts, and one row in its test.

A family is known by the class of its pipeline in ``model_index.json``. Adapters sit on the attention of the UNet, where
diffusers' own examples put them. ``unit_bytes`` were measured on whole networks (``docs/planning.md``).
"""

from __future__ import annotations

from typing import Final

from tunesmith.modalities.base import Family

ATTENTION: Final = ("to_q", "to_k", "to_v", "to_out.0")

FAMILIES: Final = (
    Family(
        name="Stable Diffusion",
        model_types=("StableDiffusionPipeline",),
        kind="diffusion",
        targets=ATTENTION,
        eight_bit=False,
        unit_bytes=3_000_000,
    ),
    Family(
        name="Stable Diffusion XL",
        model_types=("StableDiffusionXLPipeline",),
        kind="diffusion",
        targets=ATTENTION,
        eight_bit=False,
        unit_bytes=3_000_000,
    ),
)
