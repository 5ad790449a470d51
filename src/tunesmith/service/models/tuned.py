"""Models by the names that OpenAI's clients use: ``ft:BASE:ORGANISATION:SUFFIX:JOB`` for what a job made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.modalities.folders import is_model
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.models import catalogue
from tunesmith.spec.errors import BadValue, Conflict, NotFound
from tunesmith.store import models as stored
from tunesmith.store.models import Model

if TYPE_CHECKING:
    from tunesmith.service.context import Service

TUNED: Final = "ft"
STEP: Final = "ckpt-step-"
"""Begins the last part of a checkpoint's name."""


def tuned_name(base: str, org: str, suffix: str | None, job: str) -> str:
    """Make the name of what a job will make."""
    parts = base.split(":")
    short = parts[1] if parts[0] == TUNED and len(parts) > 1 else Path(base).name.replace(":", "-")
    return ":".join((TUNED, short, org, suffix or "", job))


def checkpoint_name(model: str, step: int) -> str:
    """Make the name of a checkpoint on the way to a model."""
    return f"{model}:{STEP}{step}"


def model_named(service: Service, by: Principal, name: str) -> Model:
    """Return a model that a job made; the operator finds those of every organisation by their whole name.

    Raises:
        NotFound: there is none, or it is not theirs.
    """
    parts = name.split(":")
    org = parts[2] if parts[0] == TUNED and len(parts) > 2 and by.is_operator else by.acting_for(None)
    with service.database.read() as connection:
        found = stored.named(connection, org, name)
    if found is None:
        raise NotFound("model", name)
    return found


def source_named(service: Service, by: Principal, name: str) -> str:
    """Return what a job calls the model of a name: one that a job made by its id, any other as it is.

    Raises:
        NotFound: it is the name of what a job made, and there is none.
        BadValue: it is the name of a checkpoint.
    """
    if not name.startswith(f"{TUNED}:"):
        return name
    if STEP in name:
        raise BadValue("model", name, "a finished model; a paused or failed job is gone on with by its own resume call")
    return f"model:{model_named(service, by, name).id}"


def pulled_names(service: Service) -> dict[str, float]:
    """Return the models that were pulled, which jobs of every organisation may start from, and since when."""
    found = sorted(path for path in service.settings.models_dir.glob("[!.]*") if is_model(path))
    return {path.name: path.stat().st_mtime for path in found}


def delete_named(service: Service, by: Principal, name: str) -> None:
    """Forget a model that a job made, and remove its files.

    Raises:
        NotFound: there is none.
        Forbidden: the role does not allow it.
        Conflict: a job uses it, or it is one that was pulled.
    """
    if name in pulled_names(service):
        raise Conflict(f"Model '{name}' was pulled for everybody.", "Whoever runs the server can remove it.")
    catalogue.delete_model(service, by, model_named(service, by, name).id)
