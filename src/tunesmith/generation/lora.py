"""What an adapter's files say of it, without torch: may it share a batch, and how strong is each of its layers?"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from tunesmith.spec.errors import AdapterNotPerRow, ModelNotFound, UnreadableFile

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
"""What PEFT puts before a module's name."""
OTHERWISE = {
    "use_dora": "it trains sizes apart from directions (DoRA)",
    "modules_to_save": "it trains whole modules",
    "trainable_token_indices": "it trains embeddings",
    "target_parameters": "it adapts parameters that are no layers",
    "lora_bias": "it trains biases",
    "alora_invocation_tokens": "it begins in the middle of a prompt",
    "arrow_config": "it chooses among several adapters",
    "use_qalora": "it pools its inputs",
    "use_bdlora": "its matrices are made of blocks",
    "kasa_config": "it has values between its matrices",
    "monteclora_config": "it draws its weights",
    "layer_replication": "it repeats layers",
}
"""Settings of PEFT's LoRA by which an adapter is more than a product of two matrices beside a linear layer."""

HEADS = (".lm_head", ".embed_out")
"""Output heads, which see only the tokens whose next one is wanted."""
REPLACING = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Ways to begin that take something out of the model's own weights."""


@dataclass(frozen=True)
class LoraFacts:
    """What the configuration says."""

    rank: int
    """Largest rank of its layers."""
    layers: dict[str, int]
    """Rank of each adapted layer, by the layer's name in the model."""
    scaling: dict[str, float]
    """What each layer's product is multiplied by."""
    base: str
    """What it calls the model that it was trained on."""


def per_row(folder: Path) -> str | None:
    """Say why an adapter cannot go per row, beside others in one batch; None where it can.

    Raises:
        ModelNotFound: the folder holds no adapter.
        UnreadableFile: its files are damaged.
    """
    config = _config(folder)
    if str(config.get("peft_type", "LORA")).upper() != "LORA":
        return f"it is no LoRA adapter but {config['peft_type']}"
    for key, why in OTHERWISE.items():
        if config.get(key):
            return why
    if config.get("bias", "none") != "none":
        return "it trains biases"
    if str(config.get("init_lora_weights", "")).startswith(REPLACING):
        return f"it changes the model's own weights ({config['init_lora_weights']})"
    return next(filter(None, map(_beyond, _shapes(folder))), None)


def read_facts(folder: Path) -> LoraFacts:
    """Read the ranks and strengths of an adapter's layers.

    Raises:
        ModelNotFound: the folder holds no adapter.
        AdapterNotPerRow: it cannot go per row.
        UnreadableFile: its files are damaged.
    """
    why = per_row(folder)
    if why is not None:
        raise AdapterNotPerRow(folder, why)
    config = _config(folder)
    layers = {_layer(name): shape[0] for name, shape in _shapes(folder).items() if name.endswith(".lora_A.weight")}
    scaling = {layer: _scaling(config, layer, rank) for layer, rank in layers.items()}
    return LoraFacts(max(layers.values(), default=0), layers, scaling, str(config.get("base_model_name_or_path") or ""))


def _beyond(name: str) -> str | None:
    """Say what a weight's name tells of an adapter that is more than pairs of matrices beside linear layers."""
    if ".experts." in name:
        return "it adapts experts, which see tokens of several rows"
    if ".lora_embedding_" in name or ".embed_tokens." in name:
        return "it adapts embeddings"
    if any(f"{head}." in name for head in HEADS):
        return "it adapts the output head"
    if not name.endswith((".lora_A.weight", ".lora_B.weight")):
        return f"it holds '{name}', which is no pair of matrices"
    return None


def _scaling(config: dict[str, Any], layer: str, rank: int) -> float:
    alpha = float(_matched(config.get("alpha_pattern"), layer, config.get("lora_alpha", 8)))
    return alpha / rank**0.5 if config.get("use_rslora") else alpha / rank


def _matched(pattern: dict[str, Any] | None, layer: str, otherwise: Any) -> Any:
    """Return what a pattern of PEFT's says of a layer: its keys are regular expressions for ends of names."""
    matching = (found for key, found in (pattern or {}).items() if re.match(rf"(.*\.)?({key})$", layer))
    return next(matching, otherwise)


def _layer(name: str) -> str:
    return name.removeprefix(PREFIX).rpartition(".lora_")[0]


def _shapes(folder: Path) -> dict[str, list[int]]:
    try:
        with safe_open(folder / WEIGHTS, framework="numpy") as file:
            return {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UnreadableFile(folder / WEIGHTS, "it is no safetensors file (is the copy complete?)") from error


def _config(folder: Path) -> dict[str, Any]:
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ModelNotFound(str(folder), f"An adapter folder holds {CONFIG} and {WEIGHTS}.")
    try:
        config = json.loads((folder / CONFIG).read_text())
    except ValueError as error:
        raise UnreadableFile(folder / CONFIG, "it is no JSON") from error
    if not isinstance(config, dict):
        raise UnreadableFile(folder / CONFIG, "it holds no settings")
    return config
