"""The folders that requests may name, and the way to a file in them that no link and no trick leads out of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.settings import Settings


def organisation_folder(settings: Settings, org: str) -> Path:
    """Return the folder of an organisation: data, saved_models and models lie below it."""
    return settings.home / "orgs" / org
