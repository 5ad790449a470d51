"""How the tables came to be as they are: Alembic's revisions, applied when a service opens its database.

``make migration NAME=what_changes`` writes the next one into ``versions/`` from the difference to ``tables.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text

from tunesmith.spec.errors import DatabaseUnusable
from tunesmith.store.database import Database

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

NEWEST: Final = "0001"
"""The last revision: a database that is at it needs no Alembic, whose import a server's start would wait for."""
LOCK: Final = 7_301_562
"""Advisory lock of PostgreSQL under which one server at a time changes the tables."""


def upgrade(database: Database, to: str = "head") -> None:
    """Bring the tables up to date; servers that start at once wait for each other.

    Raises:
        DatabaseUnusable: it cannot be reached, or a later version of tunesmith has changed it.
    """
    with database.write() as connection:
        _alone(connection)
        revision = current(connection)
        if revision == NEWEST == to.replace("head", NEWEST):
            return
        from alembic import command

        known = {script.revision for script in _scripts().walk_revisions()}
        if revision is not None and revision not in known:
            why = f"its tables are of a later version of tunesmith (revision {revision})"
            raise DatabaseUnusable(database.shown, why)
        command.upgrade(_config(connection), to)


def downgrade(database: Database, to: str = "base") -> None:
    """Take the tables back to an earlier revision; what only later ones have is lost."""
    from alembic import command

    with database.write() as connection:
        _alone(connection)
        command.downgrade(_config(connection), to)


def revise(database: Database, message: str) -> None:
    """Write the next revision from how ``tables.py`` differs from a database that is up to date."""
    from alembic import command

    with database.write() as connection:
        command.revision(_config(connection), message, autogenerate=True)


def current(connection: Connection) -> str | None:
    """Return the revision that the tables are at; None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _alone(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":  # There, whoever writes is alone anyway.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(__file__).parent))
