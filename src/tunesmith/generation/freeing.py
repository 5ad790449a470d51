"""Memory goes back to the machine when nobody writes."""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache


def give_memory_back() -> None:
    """Return to the system what the C library keeps of freed memory, where it can be asked to (glibc)."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> ctypes._NamedFuncPointer | None:
    try:
        return ctypes.CDLL(ctypes.util.find_library("c") or "").malloc_trim
    except (OSError, AttributeError):
        return None
