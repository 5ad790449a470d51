"""What a model is, from its ``config.json`` and the headers of its safetensors files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from tunesmith.modalities.text.families import family_for
from tunesmith.planning.weight_headers import Tensor, fingerprint, tensors, weight_files
from tunesmith.spec.errors import ModelNotFound, NotALanguageModel, UnreadableFile
from tunesmith.spec.plan import ModelFacts

DTYPES: Final = {"BF16": "bf16", "F16": "fp16", "F32": "fp32"}
"""Number formats that can be trained from, by the name that safetensors gives them."""
CAUSAL: Final = ("ForCausalLM", "LMHeadModel")
"""Ends of the names of architectures that write text from left to right."""
PICKLED: Final = (
    "its weights are pickled (.bin, .pt), which can run any code and are not read; where you trust it, load it with "
    "transformers and save it as safetensors with save_pretrained"
)
OUTPUT_HEADS: Final = frozenset({"lm_head", "embed_out", "output"})
NOT_ADAPTED: Final = OUTPUT_HEADS | {"embed_tokens", "wte", "wpe", "embeddings", "score", "classifier", "pooler"}
"""Two-dimensional weights that are tables or heads, not linear layers inside the model."""


def model_facts(path: Path, source: str) -> ModelFacts:
    """Return what is known of the model in a folder; ``source`` is what the user wrote, for messages.

    Raises:
        ModelNotFound: there is no such folder.
        NotALanguageModel: the folder holds something else, or nothing that can be trained.
        UnreadableFile: a file of the model is damaged.
    """
    config = _config(path, source)
    architecture = _architecture(config, source)
    files = _weights(path, source)
    held = [tensor for file in files for tensor in tensors(file)]
    weights = [tensor for tensor in held if _is_weight(tensor)]
    heads = [tensor for tensor in weights if _module(tensor) in OUTPUT_HEADS]
    tied = bool(config.get("tie_word_embeddings", not heads))
    widths = _linear_widths(weights)
    model_type = str(config.get("model_type", ""))
    sizes = _sizes(config, path / "config.json")
    return ModelFacts(
        source=source,
        path=str(path),
        architecture=architecture,
        model_type=model_type,
        parameters=sum(tensor.size for tensor in weights) - (sum(head.size for head in heads) if tied else 0),
        max_length=_positions(config) or family_for(model_type).max_length,
        dtype=_dtype(weights, config, source),
        tied_embeddings=tied,
        linear_layers=list(widths),
        linear_widths=widths,
        window=_window(config),
        fingerprint=fingerprint(path / "config.json", files),
        **sizes,
    )


def _config(path: Path, source: str) -> dict[str, Any]:
    if not path.is_dir():
        raise ModelNotFound(source, "Give the folder of a model, a name that `tunesmith pull` knows, or a hub id.")
    file = path / "config.json"
    if not file.is_file():
        if (path / "adapter_config.json").is_file():
            raise NotALanguageModel(source, "it is an adapter; name its base model")
        raise NotALanguageModel(source, "the folder has no config.json")
    try:
        config = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFile(file, f"it is not JSON ({error})") from error
    if not isinstance(config, dict):
        raise UnreadableFile(file, "it holds no keys")
    return config


def _architecture(config: dict[str, Any], source: str) -> str:
    named = config.get("architectures")
    if not isinstance(named, list) or not named:
        raise NotALanguageModel(source, "its config.json names no architecture")
    architecture = str(named[0])
    if not architecture.endswith(CAUSAL):
        raise NotALanguageModel(source, f"its architecture is {architecture}")
    if config.get("quantization_config"):
        raise NotALanguageModel(source, "its weights are quantised; take the version in full precision")
    return architecture


def _weights(path: Path, source: str) -> list[Path]:
    files = weight_files(path)
    if files:
        return files
    if any(path.glob("*.bin")) or any(path.glob("*.pt*")):
        raise NotALanguageModel(source, PICKLED)
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


def _linear_widths(weights: Iterable[Tensor]) -> dict[str, int]:
    """Return inputs plus outputs of the linear layers (GPT-2's Conv1D too) by leaf name, in the file's order."""
    widths: Counter[str] = Counter()
    for tensor in weights:
        repeated = any(part.isdigit() for part in tensor.name.split("."))
        linear = tensor.name.endswith(".weight") and len(tensor.shape) == 2
        if linear and repeated and _module(tensor) not in NOT_ADAPTED:
            widths[_module(tensor)] += sum(tensor.shape)
    return dict(sorted(widths.items()))


def _dtype(weights: list[Tensor], config: dict[str, Any], source: str) -> str:
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


def _sizes(config: dict[str, Any], file: Path) -> dict[str, int]:
    """Return the widths and counts under the names that the families give them."""
    hidden = _whole(config, file, "hidden_size", "n_embd", "d_model")
    heads = _whole(config, file, "num_attention_heads", "n_head", "num_heads", "n_heads")
    return {
        "hidden": hidden,
        "heads": heads,
        "layers": _whole(config, file, "num_hidden_layers", "n_layer", "num_layers", "n_layers"),
        "kv_heads": _whole(config, file, "num_key_value_heads", default=heads),
        "intermediate": _whole(config, file, "intermediate_size", "n_inner", "ffn_dim", default=4 * hidden),
        "vocabulary": _whole(config, file, "vocab_size"),
    }


def _whole(config: dict[str, Any], file: Path, *names: str, default: int | None = None) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    if default is None:
        raise UnreadableFile(file, f"it has no usable '{names[0]}'")
    return default


def _positions(config: dict[str, Any]) -> int | None:
    for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length"):
        value = config.get(name)
        if isinstance(value, int) and value > 0:
            return value
    return None


def _window(config: dict[str, Any]) -> int | None:
    """Return the sliding window, where one is in force in any layer."""
    value = config.get("sliding_window")
    kinds = config.get("layer_types") or []
    if not isinstance(value, int) or not config.get("use_sliding_window", True):
        return None
    return None if kinds and all(kind == "full_attention" for kind in kinds) else value
