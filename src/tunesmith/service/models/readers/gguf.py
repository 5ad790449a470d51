"""Weights in a GGUF file, as llama.cpp stores them."""

from __future__ import annotations

from pathlib import Path

from tunesmith.service.models.converting import converted
from tunesmith.service.models.readers import Fetched, Reader


def read(fetched: Fetched, result: Path) -> str:
    """Turn a GGUF file into a model folder.

    Raises:
        PullFailed: the conversion failed; the message is its own sentence.
    """
    weights = next(file for file in fetched.files if file.suffix == ".gguf")
    return converted(fetched, result, weights, [file.name for file in fetched.files if file != weights])


READER = Reader("gguf", "the 4-bit GGUF weights were dequantised to bf16 and stored as safetensors.", read)
