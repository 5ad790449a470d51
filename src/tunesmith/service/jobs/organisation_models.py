"""The models that an organisation's trainings made, by the trainings that succeeded, and which of them answers."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tunesmith.service.accounts.principal import Principal, Role
from tunesmith.service.jobs import queue
from tunesmith.spec.errors import NotFound
from tunesmith.spec.states import RunState
from tunesmith.store import accounts
from tunesmith.store import models as stored_models

if TYPE_CHECKING:
    from tunesmith.service.context import Service

LATEST: Final = "latest"
"""Stands for the newest model."""


def succeeded_models(
    service: Service, by: Principal, org: str | None, *, before: int | None = None, limit: int = 100
) -> list[queue.Job]:
    """Return the trainings of an organisation whose model is there, the newest first.

    Raises:
        Forbidden: it is not theirs.
    """
    org = by.acting_for(org)
    with service.database.read() as connection:
        there = {model.job for model in stored_models.listed(connection, org)}
    wanted = queue.Wanted(org=org, states=(RunState.SUCCEEDED,), kinds=("train",), before=before, limit=limit)
    return [job for job in queue.listed(service, wanted, by) if job.id in there]


def succeeded_model(service: Service, by: Principal, org: str | None, model: str) -> queue.Job:
    """Return the training that made a model: ``latest``, or any form of the training's id.

    Raises:
        Forbidden: the organisation is not theirs.
        NotFound: it has no such model; a training that goes on or failed made none.
    """
    org = by.acting_for(org)
    if model == LATEST:
        found = succeeded_models(service, by, org)
        if not found:
            raise NotFound("finished model of organisation", org)
        return found[0]
    job = queue.get(service, model, by)
    with service.database.read() as connection:
        there = stored_models.listed(connection, org, job=job.id)
    if job.org != org or job.state is not RunState.SUCCEEDED or not there:
        raise NotFound("finished model", model)
    return job


def answering_model(service: Service, by: Principal, org: str | None) -> queue.Job:
    """Return the training whose model answers for an organisation: the one that was chosen, else the newest.

    Raises:
        Forbidden: the organisation is not theirs.
        NotFound: it has no model.
    """
    org = by.acting_for(org)
    with service.database.read() as connection:
        found = accounts.organisation(connection, org)
    if found is not None and found.serves is not None:
        with suppress(NotFound):  # It was deleted since.
            return succeeded_model(service, by, org, found.serves)
    return succeeded_model(service, by, org, LATEST)


def choose_model(service: Service, by: Principal, org: str | None, model: str) -> queue.Job:
    """Have a model answer for its organisation from now on; ``latest``: always the newest.

    Raises:
        Forbidden: the organisation is not theirs, or the role does not allow it.
        NotFound: it has no such model.
    """
    by.needs(Role.MEMBER)
    job = succeeded_model(service, by, org, model)
    with service.database.write() as connection:
        accounts.change_organisation(connection, job.org, serves=None if model == LATEST else job.id)
    return job
