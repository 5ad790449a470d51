"""The ruff rules in pyproject.toml catch what this project never wants to see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BARE = "try:\n    x = 1\nexcept:\n    x = 2\n"
BLIND = "try:\n    x = 1\nexcept Exception:\n    pass\n"
SHELL = "import subprocess\n\nsubprocess.run('ls ' + name, shell=True)\n"


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        (BARE, "E722"),
        (BLIND, "BLE001"),
        (SHELL, "S602"),
        ("x = 1  # type: ignore\n", "PGH003"),
        ("x = 1  # TODO: more\n", "FIX002"),
        ("import yaml\n\nyaml.load(text)\n", "S506"),
        ("import pickle\n\npickle.loads(text)\n", "S301"),
        ("def f(x):\n    return x\n", "D103"),
    ],
)
def test_ruff_names_it(repository: Path, tmp_path: Path, code: str, rule: str):
    command = [Path(sys.executable).with_name("ruff"), "check", "--no-cache", "--config", repository / "pyproject.toml"]
    done = subprocess.run([*command, "-"], cwd=tmp_path, input=code, capture_output=True, text=True)
    assert rule in done.stdout
