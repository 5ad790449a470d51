"""Pictures made from texts: what a Stable Diffusion pipeline learns from pictures with captions.

A model family is one row in ``families.py``; a task is one ``Task`` below and what its builder does for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tunesmith.modalities.base import Encoder, Modality, Task
from tunesmith.modalities.diffusion.families import FAMILIES
from tunesmith.modalities.diffusion.options import DiffusionOptions
from tunesmith.spec.examples import CaptionedImage

_BUILDER: Final = "tunesmith.modalities.diffusion.builder"


def _encoder(model_dir: Path, options: DiffusionOptions) -> Encoder:
    from tunesmith.modalities.diffusion.encode import CaptionedEncoder

    return CaptionedEncoder(model_dir, resolution=options.resolution)


MODALITY: Final = Modality(
    name="diffusion",
    tasks=(
        Task(
            name="text-to-image",
            consumes=(CaptionedImage,),
            summary="text to image: pictures like those of the data are learned, by their captions",
            builder=f"{_BUILDER}:build",
            aliases=("text_to_image", "text-to-image-lora", "text2image", "text_to_image_lora"),
            models=("diffusion",),
            writes=False,
            does="makes pictures",
            counts="picture",
            peft=None,
            loader="DiffusionPipeline",
            cuts=False,
        ),
    ),
    families=FAMILIES,
    options=DiffusionOptions,
    encoder=_encoder,
)
