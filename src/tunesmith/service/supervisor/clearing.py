"""What an evaluation or an export left that did not come to its end: as large as a model, and of use to nobody."""

from __future__ import annotations

import shutil
from typing import Final

from tunesmith.runs.folder import RunFolder

SCRATCH: Final = ("scratch", "adapter", "baseline")
"""Folders in which the worker keeps what it works with."""


def clear_away(run: RunFolder) -> None:
    """Remove what a run made; its story and its log stay."""
    for folder in (run.artifacts_dir, *(run.path / name for name in SCRATCH)):
        shutil.rmtree(folder, ignore_errors=True)
    run.artifacts_dir.mkdir(exist_ok=True)
