"""Low-rank adapters: put on with PEFT, and written as a folder that PEFT opens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from tunesmith.spec.plan import OTHER_PARTS


def add_adapter(
    model: Any,
    *,
    rank: int,
    alpha: float,
    dropout: float,
    targets: Sequence[str],
    seed: int,
    dora: bool = False,
    rslora: bool = False,
    task: str | None = "CAUSAL_LM",
    trained: Sequence[str] = (),
    whole: bool = False,
    left_out: str | None = None,
) -> Any:
    """Freeze ``model`` and put a LoRA adapter in 32 bits on the named linear layers; returns PEFT's wrapper.

    ``task`` is PEFT's name for what the model is for: CAUSAL_LM, SEQ_CLS, ... or None; ``trained`` are modules that
    train as a whole and are saved with the adapter, such as a head. Parts beside a language model, which read pictures
    and sounds, get none, unless the ``whole`` model is adapted; then ``left_out`` is a pattern of what is not.
    """
    from peft import get_peft_model

    config = lora_config(
        rank=rank, alpha=alpha, dropout=dropout, targets=targets, dora=dora, rslora=rslora, task=task, trained=trained,
        excluded=left_out if whole else other_parts(name for name, _ in model.named_modules()),
    )  # fmt: skip
    torch.manual_seed(seed)
    return get_peft_model(model, config)


def lora_config(
    *,
    rank: int,
    alpha: float,
    dropout: float,
    targets: Sequence[str],
    dora: bool,
    rslora: bool,
    task: str | None,
    trained: Sequence[str],
    excluded: str | None,
) -> Any:
    """Describe an adapter the way PEFT does: as ``add_adapter``, but for the modules ``excluded`` by a pattern."""
    from peft import LoraConfig

    return LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # PEFT divides by the rank; a fraction is as good as a whole number
        lora_dropout=dropout,
        target_modules=list(targets),
        exclude_modules=excluded,
        bias="none",
        task_type=task,
        modules_to_save=list(trained) or None,
        use_dora=dora,
        use_rslora=rslora,
    )


def freeze_other_parts(model: torch.nn.Module) -> None:
    """Leave what reads pictures and sounds as it is: text gives it no gradient."""
    for name, part in model.named_modules():
        if name.rpartition(".")[2].startswith(OTHER_PARTS):
            part.requires_grad_(False)


def other_parts(names: Iterable[str]) -> str | None:
    """Return a pattern for the modules of a composed model that are not its language model, if any of these is one."""
    pattern = rf"(.*\.)?({'|'.join(OTHER_PARTS)})\w*(\..*)?"
    return pattern if any(re.fullmatch(pattern, name) for name in names) else None


def has_dora(model: torch.nn.Module) -> bool:
    """Whether an adapter of the model trains sizes apart from directions, which only PEFT's own layers compute."""
    return any(len(getattr(module, "lora_magnitude_vector", {})) > 0 for module in model.modules())


def trained_copy(model: torch.nn.Module) -> dict[str, Tensor]:
    """Copy the values of the trained parameters, by name."""
    return {name: p.detach().float().clone() for name, p in model.named_parameters() if p.requires_grad}
