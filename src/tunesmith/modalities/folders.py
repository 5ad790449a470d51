"""What a folder of a model or an adapter can be asked, from its files alone; light.

What training wrote there says its task. A folder from elsewhere is judged by its architecture, by the tables of
families, and by ``model_index.json``, which only pipelines have. Everything else is a model of text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

from tunesmith.modalities import MODALITIES, task_named
from tunesmith.modalities.adapter_fit import ADAPTER_CONFIG
from tunesmith.modalities.base import ModelKind, family_of
from tunesmith.modalities.chat_template import read_json

CONFIG: Final = "config.json"
PIPELINE: Final = "model_index.json"
"""By which a pipeline of diffusers is known."""
PIPELINE_ADAPTER: Final = "pytorch_lora_weights.safetensors"
"""By which an adapter of one is known."""
HEADS: Final[dict[str, ModelKind]] = {
    "ForImageClassification": "picture",
    "ForObjectDetection": "detector",
    "ForCTC": "ctc",
    "ForAudioClassification": "sound",
    "ForSequenceClassification": "sound",
}
"""Ends of the names of architectures, among models of pictures and sounds, and what those with such a head are."""

Way = Literal["predict", "transcribe", "draw", "chat", "embed"]


@dataclass(frozen=True)
class Kind:
    """What models of a kind do."""

    does: str
    """As the end of a sentence that begins with "it"."""
    ways: tuple[Way, ...]
    """How they are asked, what suits them best first."""


KINDS: Final[dict[str, Kind]] = {
    "picture": Kind("tells classes of pictures apart", ("predict",)),
    "detector": Kind("finds things in pictures", ("predict",)),
    "sound": Kind("tells classes of sounds apart", ("predict",)),
    "speech": Kind("writes down what is said", ("transcribe", "predict")),
    "ctc": Kind("writes down what is said", ("transcribe", "predict")),
    "pair": Kind("compares pictures with texts", ("predict", "embed")),
    "talker": Kind("answers about pictures", ("chat", "predict")),
    "diffusion": Kind("makes pictures", ("draw",)),
}
WRITES: Final = "writes text"
TEXT_DOORS: Final = "`tunesmith generate`, `tunesmith chat` or POST /v1/chat/completions"
"""What models of text do, and where they are asked."""
DOORS: Final[dict[str, str]] = {
    "predict": "`tunesmith predict` or POST /api/predict",
    "transcribe": "POST /v1/audio/transcriptions",
    "draw": "POST /v1/images/generations",
    "chat": "POST /v1/chat/completions",
    "embed": "POST /v1/embeddings",
}


@dataclass(frozen=True)
class Use:
    """How a model of pictures or sounds is asked."""

    modality: str
    kind: ModelKind

    @property
    def does(self) -> str:
        """What it does, as the end of a sentence that begins with "it"."""
        return KINDS[self.kind].does

    @property
    def ways(self) -> tuple[Way, ...]:
        """How it is asked, what suits it best first."""
        return KINDS[self.kind].ways

    @property
    def doors(self) -> str:
        """Where it is asked, in words."""
        return " or ".join(DOORS[way] for way in self.ways)


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model: one of transformers, or a pipeline of diffusers."""
    return (folder / CONFIG).is_file() or (folder / PIPELINE).is_file()


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter."""
    return (folder / ADAPTER_CONFIG).is_file() or (folder / PIPELINE_ADAPTER).is_file()


def use_of(model_dir: Path, adapter: Path | None = None, *, sees: bool = False) -> Use | None:
    """Return how a model, with an adapter on it, is asked; None for one of text.

    ``sees`` says that it is to be asked about pictures: some models of text can be, with parts that text leaves idle.
    """
    task = _trained_for(adapter, "adapter_info.json") if adapter else _trained_for(model_dir, "model_info.json")
    if (model_dir / PIPELINE).is_file():
        return Use("diffusion", "diffusion")
    config = read_json(model_dir / CONFIG)
    model_type = str(config.get("model_type", ""))
    named = task_named(task)
    if named is not None and not (sees and named.writes):
        modality = next(each for each in MODALITIES.values() if named in each.tasks)
        if modality.name == "text":
            return None
        kind = named.makes or family_of(model_type, modality.families).kind
        return Use(modality.name, kind if kind in KINDS else named.models[0])
    return _by_architecture(model_type, config, sees=sees)


def _by_architecture(model_type: str, config: dict[str, Any], *, sees: bool) -> Use | None:
    found = [
        Use(modality.name, family.kind)
        for modality in MODALITIES.values()
        if modality.name != "text"
        for family in modality.families
        if model_type in family.model_types
    ]
    architecture = str(next(iter(config.get("architectures") or []), ""))
    head = next((kind for end, kind in HEADS.items() if architecture.endswith(end)), None)
    if found and head is not None:
        return next((use for use in found if use.kind == head), Use(found[0].modality, head))
    if not sees and any(model_type in family.model_types for family in MODALITIES["text"].families):
        return None
    return next((use for use in found if use.kind in ("pair", "talker")), next(iter(found), None))


def _trained_for(folder: Path, name: str) -> str | None:
    """Return the task that a result says that it was trained for."""
    info = read_json(folder / name)
    task = info.get("task") or (info.get("training_config") or {}).get("task")
    return cast("str | None", task)
