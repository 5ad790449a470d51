"""From a job to its plan: look at the model, the data and the machine, then choose."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ValidationError

from tunesmith.modalities.base import Encoder, Family, Modality, family_of
from tunesmith.planning.facts import data_facts, device_facts, model_facts
from tunesmith.planning.media_models import DIFFUSION, media_facts, pipeline_facts, read_config
from tunesmith.planning.modality_choice import choose_modality, model_type_of, named_family
from tunesmith.planning.resolve import resolve
from tunesmith.planning.suggestions import with_suggestions
from tunesmith.runs.memory_limits import limits_of
from tunesmith.spec.errors import BadEntry, UnknownKey
from tunesmith.spec.job import JobSpec
from tunesmith.spec.plan import ModelFacts, Plan


def draft(spec: JobSpec, model_dir: Path, home: Path | None = None) -> Plan:
    """Plan a job whose model lies in ``model_dir`` and whose data sets are named by path.

    ``home`` is where earlier runs noted how much of this model the device can compute at once.

    Raises:
        ConfigError: the model, the machine or the job's values do not go together.
        DataError: the data cannot be found or used.
    """
    spec = with_suggestions(spec)
    modality = choose_modality(spec, model_dir)
    options = checked_options(spec, modality)
    model, family = facts_of_model(model_dir, spec.model.source, modality)
    device = device_facts(spec.resources)
    if home is not None:
        device = device.model_copy(update={"learned": limits_of(home, model, device)})
    encoder = modality.encoder(model_dir, options)
    data = data_facts(spec.datasets, encoder)
    plan = resolve(spec, model, device, data, family, modality)
    warnings = [*plan.warnings, *_about_template(encoder, data.kinds)]
    return plan.model_copy(update={"warnings": warnings})


def facts_of_model(model_dir: Path, source: str, modality: Modality) -> tuple[ModelFacts, Family]:
    """Return what is known of a model that is to be trained in a modality, and its family there.

    Raises:
        ConfigError: the folder holds no model, or none that this modality can train.
    """
    family = named_family(model_type_of(model_dir), modality)
    if family is None or family.kind in ("decoder", "encoder"):
        model = model_facts(model_dir, source)
        return model, family_of(model.model_type, modality.families)
    if (model_dir / DIFFUSION).is_file():
        return pipeline_facts(model_dir, source, family, modality.name), family
    config = read_config(model_dir / "config.json")
    return media_facts(model_dir, source, config, family, modality.name), family


def _about_template(encoder: Encoder, kinds: Iterable[str]) -> list[str]:
    """Say how conversations are written where the model brings no template of its own."""
    if getattr(encoder, "has_template", True) or not {"conversation", "preference"} & set(kinds):
        return []
    borrowed = getattr(encoder, "borrowed", None)
    if borrowed is None:
        return ["The model brings no chat template: speakers are written as 'User:' and 'Assistant:'."]
    return [f"The model brings no chat template: that of {borrowed.title}, its family's, is used."]


def checked_options(spec: JobSpec, modality: Modality) -> BaseModel:
    """Return the job's options as the modality's own class.

    Raises:
        UnknownKey, BadEntry: an option that the modality does not have, or a value that it cannot have.
    """
    try:
        return modality.options.model_validate(spec.options)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            raise UnknownKey(key, "options", modality.options.model_fields) from None
        raise BadEntry(key, "options", fault["input"], fault["msg"].removeprefix("Input should be ")) from None
