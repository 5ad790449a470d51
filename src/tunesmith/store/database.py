"""The connection to SQLite or PostgreSQL: reading, writing in one transaction, and the database's clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url

TIMEOUT: Final = 10.0
"""Seconds that a writer waits for another one on SQLite."""
EVENTS_LOCK: Final = 7_301_563
"""Advisory lock of PostgreSQL under which events get their numbers in the order in which they become visible."""


class Database:
    """One database, whichever of the two it is. Never hand it across a fork."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.engine = _sqlite(url) if self.is_sqlite else _postgres(url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Lend a connection that sees one state of the database and changes nothing."""
        with self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            yield connection
            connection.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Lend a connection whose changes become visible together, or not at all."""
        with self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    def now(self, connection: Connection) -> float:
        """Return the database's clock, in seconds since the epoch: one clock for every machine that shares it."""
        if self.is_sqlite:
            return time.time()
        return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    def order_events(self, connection: Connection) -> None:
        """Have the events of this transaction numbered after all that are visible, and before all that come later."""
        if not self.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": EVENTS_LOCK})

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()


def sqlite_url(path: Path) -> str:
    """Return the address of a SQLite file."""
    return f"sqlite:///{path}"


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": TIMEOUT, "check_same_thread": False}, pool_size=20)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # Transactions begin where this file says so, not where the driver guesses.
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _postgres(url: str) -> Engine:
    address = make_url(url)
    if address.drivername in ("postgres", "postgresql"):
        address = address.set(drivername="postgresql+psycopg")
    return create_engine(address, pool_size=20, pool_pre_ping=True, connect_args={"connect_timeout": 5})
