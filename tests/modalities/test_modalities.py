from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from tunesmith.modalities import MODALITIES
from tunesmith.modalities.base import Modality, family_of

EVERY = pytest.mark.parametrize("modality", MODALITIES.values(), ids=MODALITIES)


def test_a_modality_stands_under_its_name():
    assert all(name == modality.name for name, modality in MODALITIES.items())


@EVERY
def test_no_model_type_belongs_to_two_families(modality: Modality):
    types = [model_type for family in modality.families for model_type in family.model_types]
    assert len(types) == len(set(types))


def test_the_last_family_of_text_stands_for_every_other_model():
    families = MODALITIES["text"].families
    other = family_of("no-such-type", families)
    assert other is families[-1]
    assert (other.model_types, other.targets, other.attention, other.fused) == ((), None, "stock", False)


@EVERY
def test_a_task_names_its_builder_and_what_it_consumes(modality: Modality):
    for task in modality.tasks:
        module, _, function = task.builder.partition(":")
        assert module.startswith(f"tunesmith.modalities.{modality.name}.")
        assert function.isidentifier()
        assert task.kinds
        assert task.summary


@EVERY
def test_no_two_tasks_share_a_name(modality: Modality):
    names = [name for task in modality.tasks for name in (task.name, *task.aliases)]
    assert len(names) == len(set(names))


@EVERY
def test_every_option_has_a_flag_a_text_and_a_default(modality: Modality):
    for field in modality.options.model_fields.values():
        extra = field.json_schema_extra
        assert isinstance(extra, dict) and str(extra["flag"]).startswith("--")
        assert field.description
        assert not field.is_required()


def test_naming_the_modalities_imports_nothing_heavy():
    program = (
        "import sys, tunesmith.modalities; print({'torch', 'transformers', 'numpy', 'tokenizers'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip() == "set()"


@EVERY
def test_transformers_has_the_class_that_opens_the_result_of_a_task(modality: Modality):
    library = importlib.import_module("diffusers" if modality.name == "diffusion" else "transformers")
    for task in modality.tasks:
        assert hasattr(library, task.loader), task.name


@EVERY
def test_a_task_that_writes_no_text_says_what_it_does_instead(modality: Modality):
    assert all(task.writes == (task.does == "writes text") for task in modality.tasks)
