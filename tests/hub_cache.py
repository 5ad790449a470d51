"""A hub cache with tiny models under real names, so that what documents print works without the network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from made_pipelines import write_sd
from made_scenes import make_detector
from made_sounds import make_whisper
from picture_models import make_pair
from tiny import make_tiny_model

DOCUMENTED = {
    "microsoft/DialoGPT-medium": "gpt2",
    "meta-llama/Llama-2-7b-chat-hf": "llama",
    "meta-llama/Llama-2-7b-hf": "llama",
    "meta-llama/Llama-2-13b-hf": "llama",
}
"""The models that the documents of the APIs train, with the architecture of each."""


PICTURED: Mapping[str, Callable[[Path], Path]] = {
    "google/vit-base-patch16-224": lambda folder: make_classifier(folder, "vit"),
    "microsoft/resnet-50": lambda folder: make_classifier(folder, "resnet"),
    "openai/whisper-small": lambda folder: make_whisper(folder),
    "openai/clip-vit-base-patch32": lambda folder: make_pair(folder),
    "PekingU/rtdetr_v2_r18vd": lambda folder: make_detector(folder, "rt_detr_v2"),
    "stable-diffusion-v1-5/stable-diffusion-v1-5": lambda folder: write_sd(folder),
}
"""The models of pictures and recordings that they train, or that a short name of theirs stands for."""
SIDE = 32
"""Pixels of a side of what the tiny classifiers see."""


def make_classifier(folder: Path, kind: str) -> Path:
    """Write a tiny model that tells pictures apart."""
    import torch
    from transformers import AutoConfig, AutoModelForImageClassification

    sizes = {
        "vit": {
            "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
            "image_size": SIDE, "patch_size": 8,
        },
        "resnet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
    }  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForImageClassification.from_config(AutoConfig.for_model(kind, num_labels=2, **sizes[kind]))
    model.save_pretrained(folder)
    said = {"image_processor_type": "ViTImageProcessor", "size": {"height": SIDE, "width": SIDE}}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return folder


def fill(home: Path, models: Mapping[str, str] = DOCUMENTED) -> Path:
    """Write a tiny model for each name into ``home``, an ``HF_HOME``, as the hub's own programs lay them out."""
    for name, architecture in models.items():
        make_tiny_model(_snapshot(home, name), architecture=architecture)
    return home


def fill_pictured(home: Path) -> Path:
    """Write a tiny model for each name that stands for one of pictures or recordings."""
    for name, make in PICTURED.items():
        make(_snapshot(home, name))
    return home


def _snapshot(home: Path, name: str) -> Path:
    """Return the folder of a model's only version, which the cache knows of by then."""
    folder = home / "hub" / f"models--{name.replace('/', '--')}"
    commit = hashlib.sha1(name.encode()).hexdigest()
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    return folder / "snapshots" / commit
