"""Models without weights, one for each shape of template."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modalities.templates import (
    ALTERNATES,
    CHATML,
    LLAMA3,
    MISTRAL,
    MISTRAL_TOOLS,
    QWEN3,
    QWEN_TOOLS,
    THINKS_FIRST,
    write_model,
)

SHAPES = {
    "chatml": (CHATML, None, "<|im_end|>"),
    "llama3": (LLAMA3, "<|begin_of_text|>", "<|end_of_text|>"),
    "qwen3": (QWEN3, None, "<|im_end|>"),
    "thinks first": (THINKS_FIRST, "<s>", "</s>"),
    "mistral": (MISTRAL, "<s>", "</s>"),
    "qwen tools": (QWEN_TOOLS, None, "<|im_end|>"),
    "mistral tools": (MISTRAL_TOOLS, "<s>", "</s>"),
    "alternates": (ALTERNATES, "<s>", "</s>"),
    "none": (None, None, "<|endoftext|>"),
}


@pytest.fixture(scope="session")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a model with tokenizer and template of a shape (read only)."""
    root = tmp_path_factory.mktemp("text-models")

    def model(kind: str) -> Path:
        template, bos, eos = SHAPES[kind]
        folder = root / kind.replace(" ", "-")
        return folder if folder.exists() else write_model(folder, kind, template, bos=bos, eos=eos)

    return model
