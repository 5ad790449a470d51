"""The page of job files: every field of a job, with the flag of ``tunesmith train`` that sets it."""

from __future__ import annotations

from pydantic import BaseModel

from scripts.reference.commands import flags
from scripts.reference.fields import leaves, row
from scripts.reference.page import Page, Section

INTRO = """
A job file is YAML or JSON with these keys; `tunesmith train job.yaml` runs it, and a flag typed beside it wins. "open"
means that the plan decides, with its reason (`tunesmith plan`). A key that is not listed here is an error.
"""


def page() -> Page:
    """Every field of ``JobSpec``, part by part, then the options of each modality."""
    from tunesmith.modalities import MODALITIES
    from tunesmith.spec.job import JobSpec

    sections = [_section("The job itself", JobSpec, "", nested=False)]
    for name, field in JobSpec.model_fields.items():
        kind = field.annotation
        listed = name == "datasets"
        inner = kind.__args__[0] if listed else kind  # type: ignore[union-attr]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            sections.append(_section(f"`{name}`", inner, f"{name}[]." if listed else f"{name}."))
    for modality in MODALITIES.values():
        sections.append(_section(f"`options` of {modality.name}", modality.options, "options."))
    return Page("recipe", "Job files and the recipe", INTRO, sections)


def _section(heading: str, model: type[BaseModel], prefix: str, *, nested: bool = True) -> Section:
    known = flags()
    rows = []
    for name, field in leaves(model, prefix):
        if nested or "." not in name:
            flag = known.get(name.replace("[]", ""), "")
            rows.append(row(name, field, f"`{flag}`" if flag else ""))
    return Section(heading, (model.__doc__ or "").strip(), ("flag", "value", "default"), rows)
