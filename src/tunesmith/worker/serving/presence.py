"""Tells when clients have gone, while the threads that answer them wait for tokens."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

LOOK_EVERY: Final = 0.1
"""Seconds between two looks at who is still there."""
GONE: Final = select.POLLHUP | select.POLLERR | select.POLLNVAL
HUNG_UP: Final = getattr(select, "POLLRDHUP", 0)
"""The other end sends nothing more; Linux alone tells it apart from bytes that wait to be read."""


class Presence:
    """Watches connections, all of them in one thread."""

    def __init__(self) -> None:
        self._watched: dict[int, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def of(self, connection: socket.socket, gone: Callable[[], None]) -> Iterator[None]:
        """Watch a connection for as long as a ``with`` block lasts, and call ``gone`` once if its other end leaves."""
        number = connection.fileno()
        with self._lock:
            self._watched[number] = gone
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._watched.pop(number, None)

    def close(self) -> None:
        """Watch nothing any more."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            with self._lock:
                watched = list(self._watched)
            poll = select.poll()
            for number in watched:
                poll.register(number, HUNG_UP)
            for number, seen in poll.poll(0):
                if seen & (GONE | HUNG_UP):
                    self._left(number)

    def _left(self, number: int) -> None:
        with self._lock:
            gone = self._watched.pop(number, None)
        if gone is not None:
            gone()
