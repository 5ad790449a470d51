"""Events in the order in which they became visible, for whoever follows many jobs at once."""

from __future__ import annotations

from tunesmith.service.context import Service
from tunesmith.spec.states import JOB_OVER
from tunesmith.store import events, jobs
from tunesmith.store.events import StoredEvent


def after(service: Service, cursor: int, org: str | None, job: str | None, limit: int) -> list[StoredEvent]:
    """Return the events after a cursor, the oldest first, of one organisation or one job where these are named."""
    with service.database.read() as connection:
        return events.after(connection, cursor, org=org, job=job, limit=limit)


def newest(service: Service) -> int:
    """Return the cursor behind everything there is."""
    with service.database.read() as connection:
        return events.newest(connection)


def rest(service: Service, job: str, cursor: int) -> list[StoredEvent] | None:
    """Return what is left to hear of a job that is over (or gone); None if it goes on."""
    with service.database.read() as connection:
        found = jobs.get(connection, job)
        if found is not None and found.state not in JOB_OVER:
            return None
        left: list[StoredEvent] = []
        while page := events.after(connection, cursor, job=job):
            left, cursor = [*left, *page], page[-1].id
        return left
