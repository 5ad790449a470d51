"""Which modality a job is of: by the typed task, by the model, and by the data where the model leaves a choice."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tunesmith.modalities import MODALITIES
from tunesmith.modalities.base import Family, Modality
from tunesmith.planning.data_sample import kinds_of
from tunesmith.planning.media_models import DIFFUSION, read_config
from tunesmith.spec.job import JobSpec


def choose_modality(spec: JobSpec, model_dir: Path) -> Modality:
    """Return the modality of a job; that of text where nothing speaks for another.

    Raises:
        DataError: the data cannot be found.
        UnreadableFile: the model's configuration is damaged.
    """
    typed = [each for each in MODALITIES.values() if _has_task(each, spec.task)]
    if typed:
        return typed[0]
    able, text = modalities_of(model_dir), MODALITIES["text"]
    if MODALITIES["multimodal"] in able and text not in able:  # What writes about pictures also learns from text alone.
        able = [*able, text]
    if len(able) <= 1:
        return able[0] if able else text
    kinds = kinds_of(spec.datasets)
    return next((each for each in able if _trains(each, kinds)), able[0])


def modalities_of(model_dir: Path) -> list[Modality]:
    """Return the modalities that have a family of this model; none where no table names it."""
    model_type = model_type_of(model_dir)
    return [each for each in MODALITIES.values() if named_family(model_type, each) is not None]


def model_type_of(model_dir: Path) -> str:
    """Return the ``model_type`` of a folder; of a pipeline of diffusers the class of the pipeline; else nothing."""
    if (model_dir / DIFFUSION).is_file():
        return str(read_config(model_dir / DIFFUSION).get("_class_name", ""))
    config = model_dir / "config.json"
    return str(read_config(config).get("model_type", "")) if config.is_file() else ""


def named_family(model_type: str, modality: Modality) -> Family | None:
    """Return the family of a modality that names the ``model_type``."""
    return next((family for family in modality.families if model_type in family.model_types), None)


def _has_task(modality: Modality, name: str | None) -> bool:
    return any(name == task.name or name in task.aliases for task in modality.tasks)


def _trains(modality: Modality, kinds: Collection[str]) -> bool:
    return any(task.kinds >= set(kinds) for task in modality.tasks)
