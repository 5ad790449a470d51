"""Paths that begin with somebody's home."""

from __future__ import annotations

import os
from pathlib import Path

from tunesmith.spec.errors import NobodysHome


def expanded(path: str | Path) -> Path:
    """Return a path with a leading ``~`` or ``~NAME`` replaced.

    Raises:
        NobodysHome: nobody has that name, or nobody runs this. (``Path.expanduser`` raises there what nobody catches.)
    """
    try:
        found = os.path.expanduser(path)
    except ValueError as error:  # A name with a zero byte, or half a character.
        raise NobodysHome(path) from error
    if str(path).startswith("~") and found == str(path):
        raise NobodysHome(path)
    return Path(found)
