from __future__ import annotations

import pytest
from sqlalchemy import text

from fleet import until
from tunesmith.service.context import Service
from tunesmith.spec.errors import DatabaseUnusable
from tunesmith.store import events
from tunesmith.store.events import AT_ONCE, NewEvent


def some(count: int) -> list[NewEvent]:
    return [NewEvent("a", "0123456789ab", 1.0, "step", {"step": number}) for number in range(count)]


def test_many_events_keep_their_order(service: Service) -> None:
    count = 2 * AT_ONCE + 1
    with service.database.write() as connection:
        events.add(connection, [])
        events.add(connection, some(count))
    with service.database.read() as connection:
        assert [event.body["step"] for event in events.after(connection, 0, limit=count + 1)] == list(range(count))


def test_whoever_is_stopped_after_storing_events_keeps_nobody_waiting(service: Service) -> None:
    if service.database.is_sqlite:
        pytest.skip("a database in a file is one machine's, where only a proof of death frees a job")

    def is_connected(session: int) -> bool:
        with service.database.read() as another:
            counted = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :session")
            return bool(another.execute(counted, {"session": session}).scalar_one())

    with pytest.raises(DatabaseUnusable), service.database.write() as connection:
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 100"))
        session = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        events.add(connection, some(3))
        until(lambda: not is_connected(session), "the database has given the transaction up")
    with service.database.read() as connection:
        assert events.newest(connection) == 0
