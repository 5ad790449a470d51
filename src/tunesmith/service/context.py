"""What every feature of the service works on: the settings in force and the database."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tunesmith.service.system.subtasks import Subtasks
from tunesmith.settings import Settings
from tunesmith.store.database import Database, sqlite_url
from tunesmith.store.migrations import upgrade

if TYPE_CHECKING:
    from tunesmith.service.serving.pool import ServingPool


@dataclass
class Service:
    """One running service. Feature functions take it first."""

    settings: Settings
    database: Database
    wake: threading.Event = field(default_factory=threading.Event)
    """Set when there may be something to do for the supervisor of this process; another process's looks by itself."""
    subtasks: Subtasks = field(default_factory=Subtasks)
    """Child processes for work on what users bring; none is started before it is needed."""

    @cached_property
    def serving(self) -> ServingPool:
        """The models that are loaded; nothing is before somebody asks one."""
        from tunesmith.service.serving.pool import ServingPool

        return ServingPool(self.settings)

    def close(self) -> None:
        """End the child processes and let go of the database."""
        if "serving" in vars(self):
            self.serving.close()
        self.subtasks.close()
        self.database.close()


def open_service(settings: Settings) -> Service:
    """Open the database, bring its tables up to date and return the service.

    Raises:
        DatabaseUnusable: it cannot be reached, or lies on a network file system.
    """
    url = settings.database_url or sqlite_url(settings.home / "tunesmith.db")
    # What lies there is nobody else's on this machine: data, models, and the database with hashes of keys.
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(url)
    upgrade(database)
    return Service(settings, database)
