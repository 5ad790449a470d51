from __future__ import annotations

import pytest

from scripts.checks.same_shape import MODALITY_FILES, faults

FORMAT = "def sniff(row): ...\ndef examples(row, where): ...\nFORMAT = 1\n"


def formats(plant) -> None:
    for name in ("__init__", "alpaca", "qa"):
        plant(f"src/tunesmith/data/formats/{name}.py", FORMAT)


def modality(plant, *, without: str = "") -> None:
    for name in MODALITY_FILES - {without}:
        plant(f"src/tunesmith/modalities/text/{name}", "MODALITY = 1\n" if name == "__init__.py" else "")


def test_names_a_format_that_offers_something_else(plant, tmp_path):
    formats(plant)
    plant("src/tunesmith/data/formats/toolbench.py", FORMAT + "def extra(): ...\n_private = 1\n")
    [fault] = faults(tmp_path)
    assert "toolbench.py:1: offers FORMAT, examples, extra, sniff where the other formats offer" in str(fault)
    assert "make the rest private" in str(fault)


def test_lets_a_format_of_several_rows_group_them(plant, tmp_path):
    formats(plant)
    plant("src/tunesmith/data/formats/oasst.py", FORMAT + "def group(row, where): ...\n")
    assert not list(faults(tmp_path))


@pytest.mark.parametrize("name", ["encode.py", "builder.py"])
def test_names_the_file_that_a_modality_lacks(plant, tmp_path, name):
    modality(plant, without=name)
    [fault] = faults(tmp_path)
    assert f"modalities/text/{name}:1: the modality lacks this file" in str(fault)


def test_names_the_file_that_no_other_modality_has(plant, tmp_path):
    modality(plant)
    plant("src/tunesmith/modalities/text/attention.py", "")
    [fault] = faults(tmp_path)
    assert "attention.py:1: no other modality has this file" in str(fault)


def test_names_a_modality_without_its_manifest(plant, tmp_path):
    modality(plant)
    plant("src/tunesmith/modalities/text/__init__.py", "TEXT = 1\n")
    [fault] = faults(tmp_path)
    assert "there is no MODALITY" in str(fault)


def test_names_a_family_that_gives_facts_by_position(plant, tmp_path):
    modality(plant)
    plant("src/tunesmith/modalities/text/families.py", 'FAMILIES = (\n    Family("Llama", ("llama",)),\n)\n')
    [fault] = faults(tmp_path)
    assert "families.py:2: a Family gives facts by position" in str(fault)


def test_is_silent_when_siblings_look_alike(plant, tmp_path):
    formats(plant)
    modality(plant)
    assert not list(faults(tmp_path))
