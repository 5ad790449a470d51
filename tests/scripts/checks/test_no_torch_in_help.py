from __future__ import annotations

import pytest

from scripts.checks.no_torch_in_help import faults


def program(plant, top: str, inside: str = "pass") -> None:
    plant("src/tunesmith/__init__.py", "")
    plant("src/tunesmith/cli/__init__.py", "")
    plant("src/tunesmith/cli/main.py", f"{top}\n\ndef main(arguments):\n    {inside}\n    return 0\n")


def test_names_the_package_that_a_help_page_imports(plant, tmp_path):
    program(plant, "import numpy")
    found = [str(fault) for fault in faults(tmp_path)]
    assert len(found) == 3
    assert "`tunesmith --help` imports numpy" in found[0]
    assert "Import it inside the function that needs it" in found[0]


def test_names_a_help_page_that_fails(plant, tmp_path):
    program(plant, "", inside="raise ValueError('no such table')")
    assert "ended with 1: ValueError: no such table" in str(next(faults(tmp_path)))


@pytest.mark.parametrize("inside", ["pass", "import json"])
def test_is_silent_when_help_is_light(plant, tmp_path, inside):
    program(plant, "", inside)
    assert not list(faults(tmp_path))
