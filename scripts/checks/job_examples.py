"""Every job file below ``examples/`` or printed in a document is one that `tunesmith train` would read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from pydantic import ValidationError

from scripts.checks import Fault
from scripts.checks.doc_commands import documents
from tunesmith.spec.errors import TunesmithError
from tunesmith.spec.job import JobSpec

BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.M | re.S)
FIX = "Use the keys and values of docs/reference/recipe.md."


def faults(root: Path) -> Iterator[Fault]:
    """Yield every example, and every YAML block with a model, that is not a job."""
    for path, line, text in _jobs(root):
        try:
            JobSpec.model_validate(yaml.safe_load(text))
        except (ValidationError, TunesmithError, yaml.YAMLError) as error:
            yield Fault(path.relative_to(root), line, " ".join(str(error).split())[:200], FIX)


def _jobs(root: Path) -> Iterator[tuple[Path, int, str]]:
    for path in sorted((root / "examples").glob("*.yaml")):
        yield path, 1, path.read_text(encoding="utf-8")
    for path in documents(root):
        text = path.read_text(encoding="utf-8")
        for found in BLOCK.finditer(text):
            if "model:" in found[1]:
                yield path, text[: found.start()].count("\n") + 1, found[1]
