"""Every job file that a document prints is one that `tunesmith train` would read."""

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
    """Yield every YAML block with a model that is not a job."""
    for path in documents(root):
        text = path.read_text(encoding="utf-8")
        for found in BLOCK.finditer(text):
            if "model:" not in found[1]:
                continue
            try:
                JobSpec.model_validate(yaml.safe_load(found[1]))
            except (ValidationError, TunesmithError, yaml.YAMLError) as error:
                line = text[: found.start()].count("\n") + 1
                yield Fault(path.relative_to(root), line, " ".join(str(error).split())[:200], FIX)
