"""What is loaded, as far as somebody may know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunesmith.store import models as stored

if TYPE_CHECKING:
    from tunesmith.service.accounts.principal import Principal
    from tunesmith.service.context import Service
    from tunesmith.service.jobs.queue import Job


def loaded_names(service: Service, by: Principal | None) -> list[str]:
    """Return the names of the models in memory that somebody may see; nobody in particular sees what is everybody's."""
    found = [each for each in service.serving.loaded() if each.org is None or (by is not None and by.sees(each.org))]
    with service.database.read() as connection:
        made = {each.model: stored.get(connection, each.model) for each in found if each.model is not None}
    # Whoever asked may have called it by another of its names.
    names = {id: model.name for id, model in made.items() if model is not None}
    return sorted({names.get(each.model or "", each.name) for each in found})


def is_loaded(service: Service, job: Job) -> bool:
    """Whether the model that a job made is in memory."""
    with service.database.read() as connection:
        made = {model.id for model in stored.listed(connection, job.org, job=job.id)}
    return any(each.model in made for each in service.serving.loaded())


def clear(service: Service, by: Principal) -> int:
    """Unload what nobody is using: all of it for the operator, their organisation's own for anybody else."""
    return service.serving.clear(by.org)
