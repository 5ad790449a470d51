"""An adapter merged into its base, as a whole model folder, and how far it is from what was trained."""

from __future__ import annotations

import gc
import json
import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from tunesmith.modalities.adapter_fit import base_names
from tunesmith.modalities.text.builder import CARRIED
from tunesmith.spec.errors import MergeDiffers, NothingToExport
from tunesmith.spec.events import Progress
from tunesmith.spec.recipe import Method, QuantizationRecipe
from tunesmith.training.loading import load_classifier, load_masked, load_model
from tunesmith.training.merge import Difference, difference, logits, merged, with_adapter
from tunesmith.training.precision import DTYPES
from tunesmith.training.quantization import quantize
from tunesmith.worker.results import how_it_is_used

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from tunesmith.worker.reporting import Reporter

PROBES: Final = (
    "The capital of France is Paris, and the capital of Italy is",
    "def add(first, second):\n    return first + second\n",
    "Question: What is 12 times 12? Answer: 144. Question: What is the colour of the sky?",
)
"""What both models are asked; short, so that the check costs little."""
TOLERANCE: Final = {"fp32": 1e-3, "bf16": 5e-2, "fp16": 1e-2}
"""Largest difference allowed between the logits of adapter and merged model, as a share of the largest logit."""


def write_merged(adapter: Path, base: Path, dtype: str, target: Path, reporter: Reporter) -> dict[str, Any]:
    """Merge an adapter into the base at its full precision and write a model folder; return the measured differences.

    Raises:
        MergeDiffers: the merged model does not say what the adapter says.
        NothingToExport: the adapter's classes are not known.
    """
    target.mkdir(parents=True, exist_ok=True)
    info, load = _info(adapter), loader(adapter, base)
    probes = _probes(base)
    reporter.say(Progress(message="loading the base", done=0.05))
    summary: dict[str, Any] = {"base": str(base), "dtype": dtype}
    said_few = _few_bits(load, adapter, info, dtype, probes)
    model = with_adapter(load(dtype), adapter)
    said = logits(model, probes)
    reporter.say(Progress(message="merging", done=0.4))
    result = merged(model)
    del model
    reporter.say(Progress(message="comparing the answers", done=0.6))
    after = logits(result, probes)
    found = difference(said, after)
    if not found.relative <= TOLERANCE[dtype]:
        raise MergeDiffers(str(adapter), found.relative, TOLERANCE[dtype])
    summary["merged_to_adapter"] = asdict(found)
    if said_few is not None:
        summary["trained_base_to_merged"] = asdict(difference(said_few, after))
    reporter.say(Progress(message="writing the model", done=0.7))
    summary["parameters"] = sum(parameter.numel() for parameter in result.parameters())
    _write(result, adapter, base, target, summary)
    return summary


def _few_bits(
    load: Callable[[str], Any], adapter: Path, info: dict[str, Any], dtype: str, probes: list[Tensor]
) -> list[Tensor] | None:
    """Return what the adapter says over the base in the 4 or 8 bits that it was trained on; None if it was not."""
    recipe = (info.get("training_config") or {}).get("recipe") or {}
    method = Method(recipe.get("method") or Method.LORA)
    if method.bits is None:
        return None
    how = QuantizationRecipe.model_validate(recipe.get("quantization") or {})
    model = load(dtype)
    quantize(
        model, bits=method.bits, kind=how.kind, double=how.double, compute=DTYPES[dtype], device=torch.device("cpu")
    )
    said = logits(with_adapter(model, adapter), probes)
    del model
    gc.collect()
    return said


def loader(adapter: Path, base: Path) -> Callable[[str], Any]:
    """Return what loads the base in a number format, as the kind of model that the adapter was trained for."""
    info = _info(adapter)
    task = _task(info)
    if task == "classification":
        if not info.get("classes"):
            raise NothingToExport(str(adapter), "its classes are only known once its run has finished")
        return lambda dtype: load_classifier(base, dtype, info["classes"], 0).model
    if task == "mlm":
        return lambda dtype: load_masked(base, dtype, 0).model
    return partial(load_model, base)


def _task(info: dict[str, Any]) -> str:
    return str((info.get("training_config") or {}).get("task") or "")


def _probes(base: Path) -> list[Tensor]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    return [torch.tensor(tokenizer(text)["input_ids"]) for text in PROBES]


def _write(model: Any, adapter: Path, base: Path, target: Path, summary: dict[str, Any]) -> None:
    """Write weights and configuration as transformers does, and beside them what makes them usable."""
    model.save_pretrained(target)
    for name in CARRIED:
        source = next((folder / name for folder in (adapter, base) if (folder / name).is_file()), None)
        if source is not None:
            shutil.copyfile(source, target / name)
    name = next(iter(base_names(adapter)), base.name)
    found = Difference(**summary["merged_to_adapter"])
    text = [
        "---", f"base_model: {json.dumps(name)}", "---", "",
        f"# {Path(name).name}, merged with an adapter", "",
        "A whole model: the adapter that tunesmith trained is worked into the weights of its base. "
        + how_it_is_used(_task(_info(adapter)), lora=False), "",
        f"On a probe, its logits differ from those of base and adapter by at most {found.largest:.3g} "
        f"({found.relative:.2%} of the largest).",
    ]  # fmt: skip
    if "trained_base_to_merged" in summary:
        few = Difference(**summary["trained_base_to_merged"])
        text.append(
            f"The adapter was trained over a base of fewer bits; from that model the merged one differs by "
            f"{few.divergence:.3g} nats (mean Kullback-Leibler divergence) and at most {few.largest:.3g} in a logit."
        )
    (target / "README.md").write_text("\n".join([*text, ""]))


def _info(adapter: Path) -> dict[str, Any]:
    try:
        found = json.loads((adapter / "adapter_info.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
