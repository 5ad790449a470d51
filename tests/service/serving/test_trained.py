"""Is an adapter trained, by its file alone?"""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from tunesmith.service.serving.trained import is_trained


def test_an_adapter_is_trained_when_one_of_its_last_factors_is_not_all_zero(tiny_model: Path, tmp_path: Path) -> None:
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), LoraConfig(target_modules=["q_proj"]))
    model.save_pretrained(str(tmp_path / "fresh"))
    assert not is_trained(tmp_path / "fresh" / "adapter_model.safetensors")
    last = [weight for name, weight in model.named_parameters() if "lora_B" in name][-1]
    with torch.no_grad():
        last[-1, -1] = 1e-6
    model.save_pretrained(str(tmp_path / "trained"))
    assert is_trained(tmp_path / "trained" / "adapter_model.safetensors")
