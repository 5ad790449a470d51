"""The connection to SQLite or PostgreSQL: reading, writing in one transaction, and the database's clock."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final, NoReturn

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    DBAPIError,
    InternalError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolExhausted

from tunesmith.runs.durable import disk_full
from tunesmith.settings import masked
from tunesmith.spec.errors import DatabaseUnusable, PackageMissing, UnstorableText
from tunesmith.store.mounts import network_file_system

TIMEOUT: Final = 10.0
"""Seconds that a writer waits for another one on SQLite."""
POOL: Final = 20
"""Connections that a process keeps open."""
EVENTS_LOCK: Final = 7_301_563
"""Advisory lock of PostgreSQL under which events get their numbers in the order in which they become visible."""


class Database:
    """One database, whichever of the two it is. Never hand it across a fork."""

    def __init__(self, url: str) -> None:
        """Prepare for a database; nothing is opened yet.

        Raises:
            DatabaseUnusable: the address is none of SQLite or PostgreSQL, or a SQLite file lies on a network.
            PackageMissing: the driver of PostgreSQL is not installed.
        """
        self.url = url
        self.address = _address(url)
        self.is_sqlite = self.address.drivername == "sqlite"
        self._writing = threading.Lock()
        self.engine = _sqlite(self.address) if self.is_sqlite else _postgres(self.address)

    @property
    def shown(self) -> str:
        """The address as it may be shown: without the password."""
        return masked(self.address.render_as_string(hide_password=False))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Lend a connection that sees one state of the database and changes nothing.

        Raises:
            DatabaseUnusable: it cannot be reached.
        """
        with self._lent() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            yield connection
            connection.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Lend a connection whose changes become visible together, or not at all.

        Raises:
            DatabaseUnusable: it cannot be reached, or others write for longer than a writer waits.
            UnstorableText: PostgreSQL is given a text with a zero byte.
            DiskFull: there is no room for the changes.
        """
        # SQLite has whoever comes second sleep, up to tens of milliseconds at a time; a lock wakes them at once.
        with self._writing if self.is_sqlite else nullcontext(), self._lent() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    @contextmanager
    def _lent(self) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection
        except (OperationalError, InternalError, PoolExhausted) as error:
            self._refuse(error)
        except DataError as error:
            # PostgreSQL keeps no text with a zero byte.
            raise UnstorableText(str(error.orig).strip().splitlines()[0].rstrip(".")) from error
        except DBAPIError as error:
            # Of SQLite's errors the plain one, of no kind in particular, says that the file is damaged or no database.
            if error.connection_invalidated or type(error) is DatabaseError:
                self._refuse(error)
            raise

    def _refuse(self, error: Exception) -> NoReturn:
        """Say in the project's own words why the database cannot be used."""
        why = str(getattr(error, "orig", None) or error).strip().splitlines()[0].rstrip(".")
        if self.is_sqlite and "database or disk is full" in why:
            raise disk_full(Path(self.address.database or "."), 4096) from error
        raise DatabaseUnusable(self.shown, why) from error

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


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise DatabaseUnusable(masked(url), "this is no address of a database") from error
    if address.drivername in ("postgres", "postgresql"):
        return address.set(drivername="postgresql+psycopg")
    if address.drivername not in ("sqlite", "postgresql+psycopg"):
        why = "only sqlite:///FILE and postgresql://USER:PASSWORD@HOST/NAME are known"
        raise DatabaseUnusable(masked(url), why)
    if address.drivername == "sqlite" and address.database in (None, "", ":memory:"):
        raise DatabaseUnusable(masked(url), "a database in memory ends with its connection; name a file")
    return address


def _sqlite(address: URL) -> Engine:
    path = Path(address.database or "")
    if kind := network_file_system(path):
        why = f"it lies on a network file system ({kind}), where SQLite loses writes; use a local disk or PostgreSQL"
        raise DatabaseUnusable(str(path), why)
    engine = create_engine(address, connect_args={"timeout": TIMEOUT, "check_same_thread": False}, pool_size=POOL)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # Transactions begin where this file says so, not where the driver guesses.
        cursor = connection.cursor()
        _write_ahead(cursor)
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Switch to the write-ahead log, for which SQLite waits for nobody: try until those who are in the way are done."""
    end = time.monotonic() + TIMEOUT
    while True:
        with suppress(sqlite3.OperationalError):
            if cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0] == "wal":
                return
        if time.monotonic() > end:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        time.sleep(0.01)


_CONNECTING: Final = {
    "connect_timeout": 5,
    # A server that is stopped in the middle of a transaction must not keep the others from what it has locked.
    "options": f"-c idle_in_transaction_session_timeout={int(TIMEOUT * 1000)}",
}


def _postgres(address: URL) -> Engine:
    try:
        return create_engine(address, pool_size=POOL, pool_pre_ping=True, connect_args=_CONNECTING)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise PackageMissing("psycopg", "postgres") from error
