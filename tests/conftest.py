"""Shared fixtures: tiny real parts, made here, no network."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiny import make_tiny_model

# Before torch is imported: threads that spin while they wait make two busy processes ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TUNESMITH_HOME."""
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("TUNESMITH_HOME", str(path))
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 2-layer Llama with random weights, a byte-level tokenizer and the ChatML template (read only)."""
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture
def chat_file(tmp_path: Path) -> Iterator[Path]:
    """Forty short conversations as OpenAI messages."""
    path = tmp_path / "chat.jsonl"
    with path.open("w") as file:
        for i in range(40):
            messages = [
                {"role": "user", "content": f"What is {i} plus {i}?"},
                {"role": "assistant", "content": f"It is {2 * i}."},
            ]
            file.write(json.dumps({"messages": messages}) + "\n")
    yield path
