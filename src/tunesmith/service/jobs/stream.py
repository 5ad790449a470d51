"""Events in the order in which they became visible, for whoever follows many jobs at once."""

from __future__ import annotations

from tunesmith.service.context import Service
from tunesmith.store import events
from tunesmith.store.events import StoredEvent


def after(service: Service, cursor: int, org: str | None, job: str | None, limit: int) -> list[StoredEvent]:
    """Return the events after a cursor, the oldest first, of one organisation or one job where these are named."""
    with service.database.read() as connection:
        return events.after(connection, cursor, org=org, job=job, limit=limit)


def newest(service: Service) -> int:
    """Return the cursor behind everything there is."""
    with service.database.read() as connection:
        return events.newest(connection)
