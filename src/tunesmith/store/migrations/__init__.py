"""How the tables came to be as they are: Alembic's revisions, applied when a service opens its database."""

from __future__ import annotations

from tunesmith.store.database import Database
from tunesmith.store.tables import metadata


def upgrade(database: Database) -> None:
    """Bring the tables up to date."""
    with database.write() as connection:
        metadata.create_all(connection)
