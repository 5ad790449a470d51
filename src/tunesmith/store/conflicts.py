"""Inserts that another writer may do at the same time: both databases say so in the same words, from another module."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_for(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return an insert that knows ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def insert_unless_there(connection: Connection, table: Table, **values: Any) -> None:
    """Insert a row unless one of the same key is there, or comes at the same moment."""
    connection.execute(insert_for(connection, table).values(**values).on_conflict_do_nothing())
