"""From pictures to rows: decoded, scaled to what training cuts its parts from, with a length in patches. No torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tunesmith.data.media import payload, pictures
from tunesmith.data.token_rows import EncodedRow
from tunesmith.modalities.parts.boxed_rows import boxed_row
from tunesmith.modalities.parts.picture_sizes import PictureSize, size_of, whole_size
from tunesmith.spec.errors import KindRefused
from tunesmith.spec.examples import KINDS, BoxedImage, CaptionedImage, Example, LabelledImage

VERSION: Final = 3
"""Raised when the same picture is read into something else."""
LEARNS: Final = "it learns classes of pictures, or what is where in them"
PATCH: Final = 16
"""Pixels of a patch's side: a picture's length is the patches that it would have, whatever the model makes of it."""


class PictureEncoder:
    """Reads the pictures of a data set at the size that a model sees."""

    sampled = 100
    """Pictures that a plan looks at: decoding takes a hundredth of a second and more for each."""

    def __init__(self, model_dir: Path, *, image_size: int | None = None) -> None:
        self.size: PictureSize = size_of(model_dir, image_size)
        self._whole = whole_size(model_dir, image_size)

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same picture could be read as something else."""
        return json.dumps(["picture", VERSION, self.size.as_list(), self._whole.as_list()])

    def __call__(self, example: Example) -> list[EncodedRow]:
        """Read one picture.

        Raises:
            RowFault: it cannot be read, or the row is not about a picture.
        """
        if isinstance(example, BoxedImage):
            return [boxed_row(example, self._whole)]
        if not isinstance(example, LabelledImage):
            raise KindRefused(example.where, KINDS[type(example)], LEARNS, *_hint(example))
        picture = pictures.decode(example.image, example.where, shortest=self.size.kept)
        return [row_of(self.size, pictures.scaled(picture, self.size.kept))]


def _hint(example: Example) -> list[str]:
    """Say what pictures without a class need; their own names are captions where no folder or list names classes."""
    if not isinstance(example, CaptionedImage):
        return []
    return ["Put the pictures of each class into a folder of its own, two folders at least, or give each row a label"]


def row_of(size: PictureSize, pixels: pictures.Pixels, **facts: Any) -> EncodedRow:
    """Make the row of a picture: as long as it has patches where the model sees it."""
    patches = max(2, (size.height // PATCH) * (size.width // PATCH))
    mask = [place == 1 for place in range(patches)]
    return EncodedRow([0] * patches, mask, payload.pack(facts, [pixels]))
