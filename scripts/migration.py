"""Write the next revision of the database's tables: ``python -m scripts.migration "what changes"``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tunesmith.store.database import Database, sqlite_url
from tunesmith.store.migrations import revise, upgrade


def main(message: str) -> None:
    """Compare ``store/tables.py`` with a database that all revisions have been applied to."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(sqlite_url(Path(folder) / "tables.db"))
        upgrade(database)
        revise(database, message)
        database.close()


if __name__ == "__main__":
    main(sys.argv[1])
