"""How large a model is, from its short name, its files or its name, without the network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.planning.weight_headers import tensors, weight_files
from tunesmith.service.models import hub
from tunesmith.service.models.aliases import ALIASES
from tunesmith.service.models.directory import ModelDirectory, is_model_directory
from tunesmith.spec.errors import TunesmithError
from tunesmith.spec.home_paths import expanded

if TYPE_CHECKING:
    from tunesmith.settings import Settings

_BILLIONS: Final = re.compile(r"(?<![\w.])(?:(\d+)x)?(\d+(?:\.\d+)?)b(?![a-z])", re.IGNORECASE)
"""7B, 1.7b, 8x7B: how names of models tell their size."""


def parameters_of(source: str, settings: Settings) -> int | None:
    """Return how many weights a model has; None where neither its files nor its name tell."""
    alias = ALIASES.get(source)
    if alias is not None and alias.parameters is not None:
        return int(alias.parameters * 1e6)
    return _counted(source, settings) or _named(source)


def _counted(source: str, settings: Settings) -> int | None:
    """Count what lies on this machine; damaged files are a matter for the plan."""
    try:
        folder = _folder(source, settings)
        files = weight_files(folder) if folder is not None else []
        return sum(tensor.size for file in files for tensor in tensors(file)) or None
    except (OSError, ValueError, TunesmithError):
        return None


def _folder(source: str, settings: Settings) -> Path | None:
    folder = expanded(source)
    if is_model_directory(folder):
        return ModelDirectory(folder).model
    if folder.is_dir():
        return folder
    if "/" not in source and (settings.models_dir / source).is_dir():
        return settings.models_dir / source
    return hub.cached(source) if hub.is_hub_id(source) else None


def _named(source: str) -> int | None:
    found = _BILLIONS.search(Path(source).name)
    return int(float(found[2]) * int(found[1] or 1) * 1e9) if found else None
