"""The contracts in pyproject.toml catch what they are for, in a skeleton of the layers with one import too many."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = (
    *(
        "cli",
        "api",
        "service",
        "store",
        "worker",
        "executors",
        "planning",
        "modalities/text",
        "modalities/parts",
        "generation",
        "training",
        "data",
        "runs",
        "spec",
    ),
    *("modalities", "."),
)
MODULES = (
    *("settings", "worker/train"),
    *(f"modalities/{name}" for name in ("base", "chat_template", "adapter_fit", "tool_turns", "folders")),
    "modalities/family_templates",
)
LIGHT = tuple(f"modalities/text/{name}" for name in ("options", "families", "encode"))


@pytest.fixture
def tree(repository: Path, tmp_path: Path) -> Path:
    """Every layer, empty but for the worker, which computes."""
    package = tmp_path / "src/tunesmith"
    for name in PACKAGES:
        (package / name).mkdir(parents=True, exist_ok=True)
        (package / name / "__init__.py").touch()
    for name in (*MODULES, *LIGHT):
        (package / f"{name}.py").touch()
    (package / "worker/train.py").write_text("import torch\nimport tunesmith.training\n")
    shutil.copy(repository / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(tree: Path) -> str:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    done = subprocess.run(command, cwd=tree, env={"PYTHONPATH": "src"}, capture_output=True, text=True)
    return " ".join((done.stdout + done.stderr).split())


def test_the_layers_alone_break_no_rule(tree):
    assert "6 kept, 0 broken." in lint_imports(tree)


@pytest.mark.parametrize(
    ("module", "line", "rule", "fix"),
    [
        ("runs/leak.py", "import tunesmith.service", "Imports point down", "Move the shared part down"),
        ("planning/leak.py", "import tunesmith.executors", "Imports point down", "Move the shared part down"),
        ("worker/leak.py", "import tunesmith.cli", "Imports point down", "Move the shared part down"),
        ("extra/__init__.py", "", "Imports point down", "A new package belongs into this list"),
        (
            "modalities/base.py",
            "import tunesmith.modalities.text",
            "Modalities are independent",
            "goes into modalities/",
        ),
        ("service/leak.py", "import tunesmith.training", "Only what computes imports training", "service/jobs"),
        ("cli/leak.py", "def late():\n    import torch", "neither torch nor transformers", "Do the work in a run"),
        ("service/leak.py", "import tunesmith.worker.train", "neither torch nor transformers", "Do the work in a run"),
        ("modalities/text/encode.py", "import transformers", "neither torch nor transformers", "Do the work in a run"),
        ("modalities/base.py", "import torch", "neither torch nor transformers", "Do the work in a run"),
        ("modalities/adapter_fit.py", "import peft", "neither torch nor transformers", "Do the work in a run"),
        ("modalities/text/__init__.py", "import torch", "What a modality says of itself", "stays light"),
        ("training/leak.py", "import sqlalchemy", "The worker side knows no database", "tells its story in its folder"),
    ],
)
def test_an_import_that_breaks_a_rule_is_named_with_the_rule_and_the_fix(tree, module, line, rule, fix):
    path = tree / "src/tunesmith" / module
    path.parent.mkdir(exist_ok=True)
    path.write_text(line + "\n")
    said = lint_imports(tree)
    assert "0 broken" not in said
    assert rule in said
    assert fix in said


def test_an_import_for_types_alone_breaks_no_rule(tree):
    code = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import torch\n"
    (tree / "src/tunesmith/service/leak.py").write_text(code)
    assert "0 broken" in lint_imports(tree)
