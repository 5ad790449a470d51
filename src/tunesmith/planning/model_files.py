"""What a model is, from its ``config.json`` and the headers of its safetensors files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from tunesmith.planning.model_config import ModelConfig
from tunesmith.planning.weight_headers import Tensor, fingerprint, tensors, weight_files
from tunesmith.spec.errors import ModelNotFound, NotALanguageModel, UnreadableFile
from tunesmith.spec.plan import OTHER_PARTS, ModelFacts

DTYPES: Final = {"BF16": "bf16", "F16": "fp16", "F32": "fp32"}
"""Number formats that can be trained from, by the name that safetensors gives them."""
PICKLED: Final = (
    "its weights are pickled, which can run any code; of such files only a model's pytorch_model.bin is read; where "
    "you trust it, load it with the library that wrote it and save it as safetensors with save_pretrained"
)
GGUF: Final = "it is a GGUF file, which is made for answering; take the model's safetensors version"
OUTPUT_HEADS: Final = frozenset({"lm_head", "embed_out", "output", "decoder"})
ROUTERS: Final = frozenset({"gate", "router"})
"""Layers that choose a token's experts."""
NOT_ADAPTED: Final = OUTPUT_HEADS | ROUTERS | {
    "embed_tokens", "wte", "wpe", "embeddings", "score", "classifier", "pooler",
}  # fmt: skip
"""Two-dimensional weights that are tables or heads, not linear layers inside the model."""


def model_facts(path: Path, source: str) -> ModelFacts:
    """Return what is known of the model in a folder; ``source`` is what the user wrote, for messages.

    Raises:
        ModelNotFound: there is no such folder.
        NotALanguageModel: the folder holds something else, or nothing that can be trained.
        UnreadableFile: a file of the model is damaged.
    """
    config = ModelConfig(_config(path, source), path / "config.json", source)
    files = _weights(path, source)
    held = [tensor for file in files for tensor in tensors(file)]
    weights = [tensor for tensor in held if _is_weight(tensor)]
    heads = [tensor for tensor in weights if _module(tensor) in OUTPUT_HEADS and len(tensor.shape) == 2]
    tied = config.tied(default=config.kind == "encoder" or not heads)
    linear = [tensor for tensor in weights if _is_linear(tensor)]
    widths = _linear_widths(linear)
    return ModelFacts(
        source=source,
        path=str(path),
        architecture=config.architecture,
        model_type=config.model_type,
        kind=config.kind,
        parameters=sum(tensor.size for tensor in weights) - (sum(head.size for head in heads) if tied else 0),
        linear_parameters=sum(tensor.size for tensor in linear),
        max_length=config.positions(),
        dtype=_dtype(weights, source),
        tied_embeddings=tied,
        linear_layers=list(widths),
        linear_widths=widths,
        window=config.window(),
        fingerprint=fingerprint(path / "config.json", files),
        **config.sizes(),
    )


def longest_row(path: Path, source: str) -> int:
    """Return how many tokens the model in a folder can see; its weights need not be there.

    Raises:
        ModelNotFound: there is no such folder.
        NotALanguageModel: the folder holds something else.
        UnreadableFile: its configuration is damaged.
    """
    return ModelConfig(_config(path, source), path / "config.json", source).positions()


def _config(path: Path, source: str) -> dict[str, Any]:
    if path.suffix == ".gguf" and path.is_file():
        raise NotALanguageModel(source, GGUF)
    if not path.is_dir():
        raise ModelNotFound(source, "Give the folder of a model, a name that `tunesmith pull` knows, or a hub id.")
    file = path / "config.json"
    if not file.is_file():
        raise NotALanguageModel(source, _what_instead(path))
    try:
        config = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFile(file, f"it is not JSON ({error})") from error
    if not isinstance(config, dict):
        raise UnreadableFile(file, "it holds no keys")
    return config


def _what_instead(path: Path) -> str:
    """Say what a folder without a configuration is."""
    if (path / "adapter_config.json").is_file():
        return "it is an adapter; name its base model"
    if (path / "model_index.json").is_file():
        return "it makes images (a diffusers folder)"
    return GGUF if any(path.glob("*.gguf")) else "the folder has no config.json"


def _weights(path: Path, source: str) -> list[Path]:
    files = weight_files(path)
    if files:
        return files
    if any(path.glob("*.bin")) or any(path.glob("*.pt*")):
        raise NotALanguageModel(source, PICKLED)
    if any(path.glob("*.gguf")):
        raise NotALanguageModel(source, GGUF)
    raise NotALanguageModel(source, "the folder has a config.json but no model.safetensors")


def _is_weight(tensor: Tensor) -> bool:
    """Whether training may change it: neither whole numbers nor the masks and tables that old files carry along."""
    name = tensor.name
    mask = name.endswith((".attn.bias", ".attention.bias")) and len(tensor.shape) > 1
    table = name.endswith(("masked_bias", "inv_freq"))
    return tensor.dtype.startswith(("BF", "F")) and not mask and not table


def _module(tensor: Tensor) -> str:
    """Return the leaf name of the module that holds the tensor: q_proj for model.layers.0.self_attn.q_proj.weight."""
    return tensor.name.rpartition(".")[0].rpartition(".")[2]


def _is_linear(tensor: Tensor) -> bool:
    """Whether it is the weight of a linear layer (GPT-2's Conv1D too) inside the language model.

    Experts are none: transformers keeps those of a layer in one tensor, on which no adapter sits.
    """
    parts = tensor.name.split(".")
    repeated = any(part.isdigit() for part in parts) and "experts" not in parts
    other = any(part.startswith(OTHER_PARTS) for part in parts)
    matrix = tensor.name.endswith(".weight") and len(tensor.shape) == 2
    return matrix and repeated and not other and _module(tensor) not in NOT_ADAPTED


def _linear_widths(linear: Iterable[Tensor]) -> dict[str, int]:
    """Return inputs plus outputs of the linear layers by leaf name."""
    widths: Counter[str] = Counter()
    for tensor in linear:
        widths[_module(tensor)] += sum(tensor.shape)
    return dict(sorted(widths.items()))


def _dtype(weights: list[Tensor], source: str) -> str:
    """Return the number format of most weights."""
    counts: Counter[str] = Counter()
    for tensor in weights:
        counts[tensor.dtype] += tensor.size
    if not counts:
        raise NotALanguageModel(source, "its weights files hold no weights")
    most = counts.most_common(1)[0][0]
    if most not in DTYPES:
        raise NotALanguageModel(source, f"its weights are stored as {most}; take a version in bf16, fp16 or fp32")
    return DTYPES[most]
