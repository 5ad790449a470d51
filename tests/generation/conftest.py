"""Tiny models with adapters of unlike ranks, strengths and layers, and what transformers and PEFT say with each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

MakeAdapter = Callable[..., Path]
Alone = Callable[..., list[int]]


@pytest.fixture
def make_adapter(tmp_path: Path) -> MakeAdapter:
    """Write an adapter for a model; ``seed`` makes it different from others, ``strength`` 0 leaves it untrained."""

    def make(model: Path, name: str, *, seed: int = 0, strength: float = 0.1, **settings: Any) -> Path:
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        torch.manual_seed(seed)
        base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        made = get_peft_model(base, LoraConfig(**{"r": 4, "target_modules": "all-linear", **settings}))
        for parameter_name, parameter in made.named_parameters():
            if "lora_B" in parameter_name and strength:
                torch.nn.init.normal_(parameter, std=strength)
        made.save_pretrained(tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def alone() -> Alone:
    """What transformers' generate writes for one prompt, with an adapter of PEFT if one is given."""

    def generate(folder: Path, ids: Sequence[int], count: int, adapter: Path | None = None) -> list[int]:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        if adapter is not None:
            model = PeftModel.from_pretrained(model, str(adapter))
        prompt = torch.tensor([list(ids)])
        with torch.no_grad():
            written = model.eval().generate(
                input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=count, do_sample=False,
                eos_token_id=None, pad_token_id=0,
            )  # fmt: skip
        tokens: list[int] = written[0, len(ids) :].tolist()
        return tokens

    return generate
