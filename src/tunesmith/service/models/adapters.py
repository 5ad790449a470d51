"""The adapters that jobs made, each with the configuration that other programs read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.modalities.adapter_fit import ADAPTER_CONFIG
from tunesmith.store import models as stored

if TYPE_CHECKING:
    from tunesmith.service.accounts.principal import Principal
    from tunesmith.service.context import Service


@dataclass(frozen=True)
class StoredAdapter:
    """An adapter."""

    path: str
    name: str
    job: str | None
    config: dict[str, Any]
    """``adapter_config.json``; empty where the files lie on another machine."""


def adapters(service: Service, by: Principal) -> list[StoredAdapter]:
    """Return the adapters that a principal may see, the newest first."""
    with service.database.read() as connection:
        found = stored.listed(connection, by.org)
    return [
        StoredAdapter(model.path, model.name, model.job, _config(Path(model.path)))
        for model in found
        if model.kind == "adapter"
    ]


def _config(folder: Path) -> dict[str, Any]:
    for place in (folder / ADAPTER_CONFIG, folder / "lora" / ADAPTER_CONFIG):
        try:
            content = json.loads(place.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            return content
    return {}
