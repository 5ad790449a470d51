"""What every feature of the service works on: the settings in force and the database."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from tunesmith.service.system.subtasks import Subtasks
from tunesmith.settings import Settings
from tunesmith.store.database import Database, sqlite_url
from tunesmith.store.migrations import upgrade


@dataclass
class Service:
    """One running service. Feature functions take it first."""

    settings: Settings
    database: Database
    wake: threading.Event = field(default_factory=threading.Event)
    """Set when there may be something to do for the supervisor of this process; another process's looks by itself."""
    subtasks: Subtasks = field(default_factory=Subtasks)
    """Child processes for work on what users bring; none is started before it is needed."""

    def close(self) -> None:
        """End the child processes and let go of the database."""
        self.subtasks.close()
        self.database.close()


def open_service(settings: Settings) -> Service:
    """Open the database, bring its tables up to date and return the service.

    Raises:
        DatabaseUnusable: it cannot be reached, or lies on a network file system.
    """
    url = settings.database_url or sqlite_url(settings.home / "tunesmith.db")
    settings.home.mkdir(parents=True, exist_ok=True)
    database = Database(url)
    upgrade(database)
    return Service(settings, database)
