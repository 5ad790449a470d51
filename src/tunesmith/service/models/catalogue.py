"""The models of an organisation: look up, with what each was made of and what continues it, and delete."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.modalities.folders import is_model
from tunesmith.runs.output_lock import locked
from tunesmith.runs.publish import published_names, published_run
from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import Principal, Role
from tunesmith.spec.errors import Conflict, NotFound
from tunesmith.store import files as stored_files
from tunesmith.store import models as stored
from tunesmith.store.models import Model

if TYPE_CHECKING:
    from tunesmith.service.context import Service

__all__ = ["Model"]


@dataclass(frozen=True)
class Pulled:
    """A model that was pulled to this machine; jobs of every organisation may start from it by its name."""

    name: str
    path: str


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from, and what came of it."""

    model: Model
    ancestors: list[Model]
    """The models that it continues, the nearest first."""
    children: list[Model]
    """The models that continue it."""


def list_models(service: Service, by: Principal, org: str | None = None, job: str | None = None) -> list[Model]:
    """Return the models that a principal may see, the newest first.

    Raises:
        Forbidden: they ask for those of an organisation that is not theirs.
    """
    org = by.acting_for(org) if org or by.org else None
    with service.database.read() as connection:
        return stored.listed(connection, org, job)


def pulled_models(service: Service, by: Principal) -> list[Pulled]:
    """Return the models that were pulled; only the operator is told where they are."""
    if not by.is_operator:
        return []
    folder = service.settings.models_dir
    found = sorted(path for path in folder.glob("[!.]*") if is_model(path))
    return [Pulled(path.name, str(path)) for path in found]


def get_model(service: Service, by: Principal, id: str) -> Lineage:
    """Return a model, by its id or its name, with its lineage, as far as that belongs to those who may see it.

    Raises:
        NotFound: there is none, or it belongs to an organisation that is not theirs.
    """
    with service.database.read() as connection:
        model = stored.get(connection, id) or stored.named(connection, by.acting_for(None), id)
        if model is None or not by.sees(model.org):
            raise NotFound("model", id)
        ancestors: list[Model] = []
        seen, parent = {model.id}, model.parent
        while parent is not None and parent not in seen:
            seen.add(parent)
            above = stored.get(connection, parent)
            if above is None or not by.sees(above.org):
                break
            ancestors.append(above)
            parent = above.parent
        return Lineage(
            model, ancestors, [child for child in stored.children(connection, model.id) if by.sees(child.org)]
        )


def delete_model(service: Service, by: Principal, id: str) -> Model:
    """Forget a model and remove its files: those below the organisation's folder, and the result in its run's folder.

    A result that was published elsewhere stays there: it is not the service's.

    Raises:
        NotFound: there is none.
        Forbidden: the role does not allow it.
        Conflict: a job that is not over starts from it or continues it.
    """
    model = get_model(service, by, id).model
    by.needs(Role.MEMBER)
    artifacts = service.settings.runs_dir / model.run / "artifacts" if model.run else None
    with service.database.write() as connection:
        for text in filter(None, (model.path, model.run, str(artifacts) if artifacts else None)):
            users = stored_files.jobs_that_name(connection, model.org, text)
            if users := [job for job in users if job != model.job]:
                raise Conflict(f"Model {model.id} is used by job {users[0]}.", "Cancel the job first, or wait.")
        stored.remove(connection, model.id)
    _remove_published(service, model)
    if artifacts is not None:
        shutil.rmtree(artifacts, ignore_errors=True)
    return model


def _remove_published(service: Service, model: Model) -> None:
    """Remove what the model's run published, if it still lies there and the folder is the organisation's."""
    place = Path(os.path.realpath(model.path))
    own = Path(os.path.realpath(organisation_folder(service.settings, model.org)))
    if not place.is_relative_to(own) or not place.is_dir() or published_run(place) != model.run:
        return
    with locked(place):
        for name in published_names(place):
            _remove(place, name)
    for folder in sorted((path for path in place.rglob("*") if path.is_dir() and not path.is_symlink()), reverse=True):
        _remove_if_empty(folder)
    _remove_if_empty(place)


def _remove(place: Path, name: str) -> None:
    path = place / name
    inside = [parent for parent in path.parents if place in parent.parents]
    if not any(folder.is_symlink() for folder in inside):  # What lies behind a link is not the model's.
        path.unlink(missing_ok=True)


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()
