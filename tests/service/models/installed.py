"""An installed tiny model for tests, in a directory whose name is awkward."""

from __future__ import annotations

from pathlib import Path

from tunesmith.service.models.directory import ModelDirectory
from tunesmith.service.models.install import install
from tunesmith.settings import Settings


def quiet(stage: str, done: float | None) -> None:
    """Hear nothing."""


def installed(model: Path, directory: Path, settings: Settings) -> ModelDirectory:
    return install(str(model), settings, quiet, directory=directory)
