"""What a model of pictures or sounds is, from its configuration and the headers of its weights: no torch.

Such configurations have no names in common beyond ``model_type``, so sizes are taken where they are found and 1 stands
for what a model has none of; where layers and widths do not tell the memory, the family's ``unit_bytes`` does.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tunesmith.modalities.base import Family
from tunesmith.planning.weight_headers import Tensor, fingerprint, tensors, weight_files
from tunesmith.spec.errors import NotALanguageModel, UnreadableFile
from tunesmith.spec.plan import ModelFacts

NAMES: Final = {
    "hidden": ("hidden_size", "d_model", "embed_dim", "hidden_dim", "width", "hidden_sizes", "hidden_channels"),
    "layers": ("num_hidden_layers", "encoder_layers", "num_layers", "depths"),
    "heads": ("num_attention_heads", "encoder_attention_heads", "num_heads"),
    "intermediate": ("intermediate_size", "encoder_ffn_dim", "d_ff", "dim_feedforward"),
    "vocabulary": ("vocab_size",),
}
"""Names of sizes in configurations; of a list the largest counts, and the sum of layers."""
PARTS: Final = ("vision_config", "text_config", "backbone_config", "audio_config", "encoder")
"""Configurations within a configuration."""
DIFFUSION: Final = "model_index.json"
"""By which a pipeline of diffusers is known."""
DTYPES: Final = {"BF16": "bf16", "F16": "fp16", "F32": "fp32"}
HEADS: Final = frozenset({"classifier", "class_labels_classifier", "lm_head", "proj_out", "projector"})
"""Layers that are heads, on which no adapter sits."""
LISTED: Final = frozenset({"to_out"})
"""Lists whose layers adapters sit on, by list and number: ``to_out.0`` of the UNets of diffusers."""
STATISTICS: Final = (".running_mean", ".running_var")
"""Ends of the names of means and variances that layers which normalise over a batch keep."""
BESIDE: Final = ("text_encoder", "text_encoder_2", "vae")
"""Folders of a pipeline that stand in memory while its data is read, and draw with what is trained."""


def media_facts(path: Path, source: str, config: dict[str, Any], family: Family, modality: str) -> ModelFacts:
    """Return what is known of a model of pictures or sounds in a folder.

    Raises:
        NotALanguageModel: the folder holds no weights that can be trained.
        UnreadableFile: a file of the model is damaged.
    """
    if family.refusal:
        raise NotALanguageModel(source, family.refusal)
    named = config.get("architectures") or [""]
    return weights_facts(
        path, source, path / "config.json", weight_files(path),
        architecture=str(named[0]), model_type=str(config.get("model_type", "")), config=config, family=family,
        modality=modality,
    )  # fmt: skip


def pipeline_facts(path: Path, source: str, family: Family, modality: str) -> ModelFacts:
    """Return what is known of a pipeline of diffusers: of its UNet, which is what is trained.

    Its parameters are those of all parts, which stand in memory together while pictures and captions are read.

    Raises:
        NotALanguageModel: the folder has no UNet with safetensors.
        UnreadableFile: a file of the model is damaged.
    """
    folder = path / "unet"
    if not (folder / "config.json").is_file():
        raise NotALanguageModel(source, "the pipeline has no unet/config.json; Stable Diffusion 1.5 and SDXL have one")
    facts = weights_facts(
        path, source, folder / "config.json", _weights_of(folder),
        architecture=str(read_config(path / DIFFUSION).get("_class_name", "")),
        model_type=str(read_config(path / DIFFUSION).get("_class_name", "")),
        config=read_config(folder / "config.json"), family=family, modality=modality,
    )  # fmt: skip
    beside = [file for name in BESIDE for file in _weights_of(path / name)]
    count = sum(tensor.size for file in beside for tensor in tensors(file))
    known = hashlib.sha256(f"{facts.fingerprint} {fingerprint(path / DIFFUSION, beside)}".encode()).hexdigest()
    return facts.model_copy(update={"parameters": facts.parameters + count, "fingerprint": known})


def _weights_of(folder: Path) -> list[Path]:
    """Return the weights of a part of a pipeline; those of a variant, such as fp16, where there are no others."""
    files = sorted(folder.glob("*.safetensors"))
    plain = [file for file in files if "." not in file.name.removesuffix(".safetensors")]
    variants = sorted({file.name.split(".")[1].partition("-")[0] for file in files if file not in plain})
    return plain or [file for file in files if file.name.split(".")[1].partition("-")[0] == variants[0]]


def weights_facts(
    path: Path,
    source: str,
    config_file: Path,
    files: list[Path],
    *,
    architecture: str,
    model_type: str,
    config: dict[str, Any],
    family: Family,
    modality: str,
) -> ModelFacts:
    """Return what configuration and weights' files tell; ``files`` are those of the part that is trained."""
    if not files:
        raise NotALanguageModel(
            source, "the folder has no model.safetensors; of pickled weights only a model's pytorch_model.bin is read"
        )
    weights = [tensor for file in files for tensor in tensors(file) if _is_weight(tensor)]
    linear = [tensor for tensor in weights if _is_linear(tensor)]
    widths: Counter[str] = Counter()
    for tensor in linear:
        widths[_module(tensor)] += sum(tensor.shape)
    sizes = {name: _size(config, name) for name in NAMES}
    parameters = sum(tensor.size for tensor in weights)
    return ModelFacts(
        source=source,
        path=str(path),
        architecture=architecture,
        model_type=model_type,
        kind=family.kind,
        modality=modality,
        unit_bytes=_unit_bytes(family, parameters),
        parameters=parameters,
        linear_parameters=sum(tensor.size for tensor in linear),
        max_length=family.max_length,
        dtype=_dtype(weights, source),
        tied_embeddings=False,
        linear_layers=sorted(widths),
        linear_widths=dict(sorted(widths.items())),
        fingerprint=fingerprint(config_file, files),
        kv_heads=sizes["heads"],
        **(sizes | {"intermediate": sizes["intermediate"] if sizes["intermediate"] > 1 else 4 * sizes["hidden"]}),
    )


def _unit_bytes(family: Family, parameters: int) -> int | None:
    return family.unit_bytes if family.unit_root is None else round(family.unit_root * math.sqrt(parameters))


def read_config(file: Path) -> dict[str, Any]:
    """Return a configuration.

    Raises:
        UnreadableFile: it is damaged.
    """
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFile(file, f"it is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise UnreadableFile(file, "it holds no keys")
    return found


def _size(config: dict[str, Any], name: str) -> int:
    """Return a size, the largest that the configuration or a part of it names; 1 where none does."""
    parts = [config, *(config[part] for part in PARTS if isinstance(config.get(part), dict))]
    found = [_number(part.get(key), total=key == "depths") for part in parts for key in NAMES[name]]
    return max(1, *found)


def _number(value: object, *, total: bool) -> int:
    values = value if isinstance(value, list) else [value]
    counts = [each for each in values if isinstance(each, int) and not isinstance(each, bool) and each > 0]
    return (sum(counts) if total else max(counts)) if counts else 0


def _is_weight(tensor: Tensor) -> bool:
    """Whether training may change it: neither whole numbers nor what a normalising layer has seen of batches."""
    return tensor.dtype.startswith(("BF", "F")) and not tensor.name.endswith(STATISTICS)


def _module(tensor: Tensor) -> str:
    parts = tensor.name.split(".")[:-1]
    return ".".join(parts[-2:]) if len(parts) > 1 and parts[-2] in LISTED else parts[-1] if parts else ""


def _is_linear(tensor: Tensor) -> bool:
    """Whether it is a linear layer inside the model: its name has a number, and its last part is a name."""
    parts = tensor.name.split(".")
    repeated = any(part.isdigit() for part in parts)
    matrix = tensor.name.endswith(".weight") and len(tensor.shape) == 2
    module = _module(tensor)
    return matrix and repeated and not module.isdigit() and module not in HEADS and "embed" not in module


def _dtype(weights: list[Tensor], source: str) -> str:
    counts: Counter[str] = Counter()
    for tensor in weights:
        counts[tensor.dtype] += tensor.size
    most = counts.most_common(1)[0][0] if counts else ""
    if most not in DTYPES:
        raise NotALanguageModel(
            source, f"its weights are stored as {most or 'nothing'}; take them in bf16, fp16 or fp32"
        )
    return DTYPES[most]
