"""How often one key, or one address without a key, may call."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tunesmith.spec.errors import TooManyRequests

REMEMBERED: Final = 10_000
"""Callers whose count is kept; the one that was quiet for longest is forgotten first."""


@dataclass
class _Bucket:
    """Requests that a caller may send at once; it fills up over time."""

    left: float
    filled_at: float


class Rates:
    """Counts the requests of each caller: so many at once, and then as many as come back with time."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        """Requests a minute; 0 counts none."""
        self.clock = clock
        self.buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def count(self, caller: str) -> None:
        """Count a request.

        Raises:
            TooManyRequests: the caller has none left.
        """
        if not self.limit:
            return
        now, each = self.clock(), 60 / self.limit
        bucket = self.buckets.setdefault(caller, _Bucket(self.limit, now))
        self.buckets.move_to_end(caller)
        if len(self.buckets) > REMEMBERED:
            self.buckets.popitem(last=False)
        bucket.left = min(self.limit, bucket.left + (now - bucket.filled_at) / each)
        bucket.filled_at = now
        if bucket.left < 1:
            raise TooManyRequests(self.limit, max(1.0, (1 - bucket.left) * each))
        bucket.left -= 1
