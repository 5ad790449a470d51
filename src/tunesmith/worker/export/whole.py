"""An adapter of a model of pictures or sounds, worked into its base: a folder that its library opens as it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.folders import Use
from tunesmith.runs.durable import write_json
from tunesmith.training.merge import merged, with_adapter
from tunesmith.training.precision import DTYPES

LOADERS: Final = {
    "picture": "AutoModelForImageClassification",
    "detector": "AutoModelForObjectDetection",
    "sound": "AutoModelForAudioClassification",
    "speech": "AutoModelForSpeechSeq2Seq",
    "ctc": "AutoModelForCTC",
    "pair": "AutoModel",
    "talker": "AutoModelForImageTextToText",
}
"""Classes of transformers that open a base, by what it is used for."""
MADE_READY: Final = (
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "normalizer.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
)
"""Files by which a library makes rows ready for a model, and answers readable."""


def write_whole(use: Use, base: Path, adapter: Path, target: Path, dtype: str) -> None:
    """Write the base with the adapter worked into its weights."""
    if use.kind == "diffusion":
        _pipeline(base, adapter, target, dtype)
        return
    import transformers

    info = read_json(adapter / "adapter_info.json")
    kind = getattr(transformers, LOADERS[use.kind])
    model = kind.from_pretrained(
        base, dtype=DTYPES["fp32"], local_files_only=True, use_safetensors=True, **_head(use, adapter, info)
    )
    whole = merged(with_adapter(model, adapter)).to(DTYPES[dtype])
    whole.save_pretrained(target)
    for name in MADE_READY:
        found = next((folder / name for folder in (adapter, base) if (folder / name).is_file()), None)
        if found is not None and not (target / name).is_file():
            shutil.copyfile(found, target / name)
    told = {name: info[name] for name in ("task", "classes", "base_model", "training_config") if name in info}
    write_json(target / "model_info.json", told)


def _head(use: Use, adapter: Path, info: dict[str, Any]) -> dict[str, Any]:
    """Return the sizes of a head that the adapter brings along."""
    if classes := info.get("classes"):
        return {
            "num_labels": len(classes),
            "id2label": dict(enumerate(classes)),
            "label2id": {name: place for place, name in enumerate(classes)},
            "ignore_mismatched_sizes": True,
        }
    vocabulary = read_json(adapter / "vocab.json") if use.kind == "ctc" else {}
    if vocabulary:
        return {"vocab_size": len(vocabulary), "ignore_mismatched_sizes": True}
    return {}


def _pipeline(base: Path, adapter: Path, target: Path, dtype: str) -> None:
    """Write a pipeline of diffusers whose parts have the adapter in their weights."""
    import diffusers

    from tunesmith.modalities.folders import PIPELINE_ADAPTER
    from tunesmith.training.pipelines import variant_of

    load: Any = diffusers.DiffusionPipeline.from_pretrained
    pipeline = load(
        str(base), variant=variant_of(base / "unet"), torch_dtype=DTYPES["fp32"], local_files_only=True,
        use_safetensors=True, safety_checker=None,
    )  # fmt: skip
    pipeline.load_lora_weights(str(adapter), weight_name=PIPELINE_ADAPTER, local_files_only=True)
    pipeline.fuse_lora()
    pipeline.unload_lora_weights()
    pipeline.to(DTYPES[dtype])
    pipeline.save_pretrained(str(target), safe_serialization=True)
