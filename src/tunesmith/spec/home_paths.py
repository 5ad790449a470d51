"""Paths that begin with somebody's home."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """Return a path with a leading ``~`` or ``~NAME`` replaced; as it was written where nobody has that name.

    ``Path.expanduser`` raises there what no caller expects, and anybody may send such a path.
    """
    try:
        return Path(os.path.expanduser(path))
    except ValueError:  # A name with a zero byte, or half a character, is nobody's.
        return Path(path)
