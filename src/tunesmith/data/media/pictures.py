"""Decodes pictures: upright, RGB, at the size that they are kept in. Pillow, no torch."""

from __future__ import annotations

import io
import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tunesmith.data.media import read
from tunesmith.spec.errors import UnreadableMedia, Where

MAX_PIXELS: Final = 100_000_000
"""Most pixels of a picture: a decoded one of so many takes 300 MB."""
MAX_SIDES: Final = 4
"""A picture that is more times as long as it is wide is cut to its middle when the short side is what is scaled."""

READ: Final = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Kinds of pictures that are decoded (MPO is a JPEG); Pillow knows more, of which some start other programs."""

Pixels = NDArray[np.uint8]
"""(height, width, 3)"""


def decode(name: str, where: Where, *, shortest: int | None = None) -> Image.Image:
    """Return a picture as RGB, turned as its camera says; what is transparent lies on white.

    Where its shorter side will be scaled down to ``shortest``, a large JPEG is decoded at half, a quarter or an eighth
    of its size, twice as large as it is needed at least: that is several times faster, and looks the same.

    Raises:
        MediaMissing: nothing is there.
        UnreadableMedia: it is no picture, truncated, or far too large.
    """
    return decoded(read(name, where), name, where, shortest=shortest)


def decoded(content: bytes, name: str, where: Where, *, shortest: int | None = None) -> Image.Image:
    """Do the same with bytes that are there already, such as those of a request; ``name`` is what messages call them.

    Raises:
        UnreadableMedia: they are no picture, truncated, or far too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.init()  # knows all of ``READ``; without it only the commonest are
            picture: Image.Image = Image.open(io.BytesIO(content), formats=READ)
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise UnreadableMedia(where, name, f"it has {width} x {height} pixels; {MAX_PIXELS:,} is the most")
            if shortest is not None and min(width, height) >= 4 * shortest:
                picture.draft("RGB", (2 * shortest, 2 * shortest))
            picture.load()
            picture = ImageOps.exif_transpose(picture)
            return _on_white(picture)
    except UnreadableMedia:
        raise
    except Exception as error:  # noqa: BLE001  decoders of damaged files raise whatever they like
        raise UnreadableMedia(where, name, _why(error, content)) from None


def squeezed(picture: Image.Image, height: int, width: int) -> Pixels:
    """Scale a picture to exactly this size, whatever its own proportions."""
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR), np.uint8)


def scaled(picture: Image.Image, shortest: int) -> Pixels:
    """Scale a picture so that its shorter side has so many pixels; very long ones are cut to their middle."""
    width, height = picture.size
    longest = MAX_SIDES * min(width, height)
    if max(width, height) > longest:
        left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
        picture = picture.crop((left, top, left + min(width, longest), top + min(height, longest)))
        width, height = picture.size
    factor = shortest / min(width, height)
    size = max(shortest, round(width * factor)), max(shortest, round(height * factor))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR), np.uint8)


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = Image.fromarray(_in_bytes(picture))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        above = picture.convert("RGBA")
        below = Image.new("RGBA", above.size, "white")
        return Image.alpha_composite(below, above).convert("RGB")
    return picture.convert("RGB")


def _in_bytes(picture: Image.Image) -> NDArray[np.uint8]:
    """Return the values of a grey picture of more than 8 bits as bytes: by its mode, not by how bright it is.

    Integers are of 16 bits. Fractions are shares of the brightest, or bytes already.

    Raises:
        ValueError: they are neither.
    """
    values = np.asarray(picture, np.float64)
    low, high, most = float(values.min()), float(values.max()), 255.0 if picture.mode == "F" else 65535.0
    if not (low >= 0 and high <= most):
        scale = "0 to 1 or to 0 to 255" if picture.mode == "F" else "0 to 65,535"
        raise ValueError(f"its values lie between {low:g} and {high:g}; scale them to {scale}")
    factor = 255 if picture.mode == "F" and high <= 1 else 1 if picture.mode == "F" else 1 / 257
    return np.rint(values * factor).astype(np.uint8)


def _why(error: Exception, content: bytes) -> str:
    if not content:
        return "the file is empty"
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {MAX_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        return "it is no picture that can be read"
    return str(error) or type(error).__name__
