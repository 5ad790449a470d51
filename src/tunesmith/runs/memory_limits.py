"""How many tokens at once fitted where memory had run out: learned by a worker, heeded by later plans.

``cache/limits.json`` in the home: for each model on a device, the limit of each way of training it. Two runs that learn
at the same moment may lose one of the two numbers; it is learned again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.runs.durable import read_json, write_json

if TYPE_CHECKING:
    from tunesmith.spec.plan import DeviceFacts, ModelFacts, Plan

FILE: Final = "limits.json"


def way_of(method: str, length: int, *, checkpointing: bool) -> str:
    """Name a way of training, such as "lora, 512 tokens, recomputing"."""
    return f"{method}, {length} tokens{', recomputing' if checkpointing else ''}"


def remember_limit(home: Path, plan: Plan, micro_tokens: int) -> None:
    """Note that a run of this plan could compute no more than so many tokens at once."""
    recipe = plan.spec.recipe
    way = way_of(str(recipe.method), recipe.length or 0, checkpointing=bool(recipe.gradient_checkpointing))
    known = _read(home)
    limits = known.setdefault(_place(plan.model, plan.device), {})
    limits[way] = min(micro_tokens, limits.get(way, micro_tokens))
    (home / "cache").mkdir(parents=True, exist_ok=True)
    write_json(home / "cache" / FILE, known)


def limits_of(home: Path, model: ModelFacts, device: DeviceFacts) -> dict[str, int]:
    """Return what was learned of a model on a device, by the way of training."""
    return _read(home).get(_place(model, device), {})


def _place(model: ModelFacts, device: DeviceFacts) -> str:
    return f"{model.fingerprint} on {device.kind} {device.name}"


def _read(home: Path) -> dict[str, dict[str, int]]:
    content = read_json(home / "cache" / FILE)
    return content if isinstance(content, dict) else {}
