"""Drawn pictures, and folders and archives of them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image


def drawn(number: int = 0, *, width: int = 24, height: int = 20) -> Image.Image:
    """A picture of its own for each number."""
    pixels = np.random.default_rng(number).integers(0, 255, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def as_bytes(picture: Image.Image, kind: str = "PNG") -> bytes:
    """The bytes of a file that holds it."""
    content = io.BytesIO()
    picture.save(content, kind)
    return content.getvalue()


def draw_into(folder: Path, names: Iterable[str]) -> Path:
    """Write a picture of its own for each name."""
    for number, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(as_bytes(drawn(number)))
    return folder


def zipped(path: Path, files: Iterable[str], others: dict[str, bytes] | None = None) -> Path:
    """Write an archive with a picture of its own for each name, and other files; a name that ends in / is a folder."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(files):
            archive.writestr(name, b"" if name.endswith("/") else as_bytes(drawn(number)))
        for name, content in (others or {}).items():
            archive.writestr(name, content)
    return path
