"""A hub cache with tiny models under real names, so that what documents print works without the network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from tiny import make_tiny_model

DOCUMENTED = {
    "microsoft/DialoGPT-medium": "gpt2",
    "meta-llama/Llama-2-7b-chat-hf": "llama",
    "meta-llama/Llama-2-7b-hf": "llama",
    "meta-llama/Llama-2-13b-hf": "llama",
}
"""The models that the documents of the APIs train, with the architecture of each."""


def fill(home: Path, models: Mapping[str, str] = DOCUMENTED) -> Path:
    """Write a tiny model for each name into ``home``, an ``HF_HOME``, as the hub's own programs lay them out."""
    for name, architecture in models.items():
        folder = home / "hub" / f"models--{name.replace('/', '--')}"
        commit = hashlib.sha1(name.encode()).hexdigest()
        make_tiny_model(folder / "snapshots" / commit, architecture=architecture)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(commit)
    return home
