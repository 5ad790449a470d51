"""From captioned pictures to rows: a picture's middle at the size that is learned, and its caption. No torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np

from tunesmith.data.media import payload, pictures
from tunesmith.data.token_rows import EncodedRow
from tunesmith.modalities.chat_template import read_json
from tunesmith.spec.errors import BadValue, KindRefused
from tunesmith.spec.examples import KINDS, CaptionedImage, Example

VERSION: Final = 2
"""Raised when the same picture is read into something else."""
PATCH: Final = 16
"""Pixels of a patch's side: a picture's length is the patches that it has."""
LATENT: Final = 64
"""Latents of a side where the UNet's configuration does not say, as in Stable Diffusion 1.5."""


class CaptionedEncoder:
    """Reads captioned pictures at the size that a pipeline learns them."""

    sampled = 50
    """Pictures that a plan looks at: decoding takes a hundredth of a second and more for each."""

    def __init__(self, model_dir: Path, *, resolution: int | None = None) -> None:
        """Read the sizes of a pipeline's folder.

        Raises:
            BadValue: the resolution is no multiple of what the autoencoder makes one latent of.
        """
        factor = scale_factor(model_dir)
        if resolution is not None and resolution % factor:
            raise BadValue("--resolution", resolution, f"a multiple of {factor}, the pixels that make one latent")
        self.side = resolution or own_side(model_dir)

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same picture could be read as something else."""
        return json.dumps(["captioned", VERSION, self.side])

    def __call__(self, example: Example) -> list[EncodedRow]:
        """Read one picture.

        Raises:
            RowFault: it cannot be read, or the row is not a picture with its caption.
        """
        if not isinstance(example, CaptionedImage):
            raise KindRefused(example.where, KINDS[type(example)], "it learns to make pictures from their captions")
        picture = pictures.decode(example.image, example.where)
        pixels = pictures.scaled(picture, self.side)
        top, left = ((size - self.side) // 2 for size in pixels.shape[:2])
        middle = np.ascontiguousarray(pixels[top : top + self.side, left : left + self.side])
        facts = {
            "caption": example.caption,
            "size": [picture.size[1], picture.size[0]],
            "crop": [top, left],
            "crop_mirrored": [top, pixels.shape[1] - self.side - left],
        }
        patches = max(2, (self.side // PATCH) ** 2)
        mask = [place == 1 for place in range(patches)]
        return [EncodedRow([0] * patches, mask, payload.pack(facts, [middle]))]


def scale_factor(model_dir: Path) -> int:
    """Return the pixels of a side that the pipeline's autoencoder makes one latent of."""
    widths = read_json(model_dir / "vae" / "config.json").get("block_out_channels")
    return int(2 ** (len(widths) - 1)) if isinstance(widths, list) and widths else 8


def own_side(model_dir: Path) -> int:
    """Return the pixels of a side of the pictures that a pipeline was made for."""
    latents = read_json(model_dir / "unet" / "config.json").get("sample_size")
    return (latents if isinstance(latents, int) else LATENT) * scale_factor(model_dir)
