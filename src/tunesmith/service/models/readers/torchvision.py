"""Weights as torchvision names them; torchvision itself is not needed."""

from __future__ import annotations

from pathlib import Path

from tunesmith.service.models.converting import converted
from tunesmith.service.models.readers import Fetched, Reader


def read(fetched: Fetched, result: Path) -> str:
    """Turn torchvision's MobileNetV2 into a model folder.

    Raises:
        PullFailed: the conversion failed; the message is its own sentence.
    """
    weights = next(file for file in fetched.files if file.suffix == ".pth")
    return converted(fetched, result, weights, [file.name for file in fetched.files if file != weights])


READER = Reader(
    "torchvision", "torchvision's weights were given the names of transformers and stored as safetensors.", read
)
