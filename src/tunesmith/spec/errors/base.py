"""What all errors have in common."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class TunesmithError(Exception):
    """Base of every error that ends in one sentence for the user."""

    code: ClassVar[str] = "error"
    """Stable name, for programs; documented in ``docs/reference/errors.md``."""
    status: ClassVar[int] = 500
    """HTTP status."""
    exit_code: ClassVar[int] = 70
    """Exit status of the command line and of a worker (``sysexits.h`` numbers where they exist)."""
    param: str | None = None
    """The field of a request that is meant, where it is one."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest known word, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""
