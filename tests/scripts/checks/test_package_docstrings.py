from __future__ import annotations

from scripts.checks.package_docstrings import faults

GOOD = '"""Runs.\n\nMay import spec. Add one as a file.\n"""\n'


def test_names_a_layer_that_does_not_say_what_it_may_import(plant, tmp_path):
    plant("src/tunesmith/__init__.py", '"""tunesmith."""\n')
    plant("src/tunesmith/runs/__init__.py", '"""Runs."""\n')
    [fault] = faults(tmp_path)
    assert "src/tunesmith/runs/__init__.py:1: the package's docstring does not say what it may import" in str(fault)
    assert "in about three lines" in str(fault)


def test_names_a_package_without_a_docstring_and_one_without_an_init(plant, tmp_path):
    plant("src/tunesmith/__init__.py", '"""tunesmith."""\n')
    plant("src/tunesmith/runs/__init__.py", GOOD)
    plant("src/tunesmith/runs/inner/__init__.py", "")
    plant("src/tunesmith/runs/bare/module.py", "")
    found = [str(fault) for fault in faults(tmp_path)]
    assert any("runs/inner/__init__.py:1: the package has no docstring" in fault for fault in found)
    assert any("runs/bare:1: the package has no __init__.py" in fault for fault in found)


def test_is_silent_when_all_is_said(plant, tmp_path):
    plant("src/tunesmith/__init__.py", '"""tunesmith."""\n')
    plant("src/tunesmith/runs/__init__.py", GOOD)
    assert not list(faults(tmp_path))
