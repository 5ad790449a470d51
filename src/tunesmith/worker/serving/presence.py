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
    """Watches connections, all of them in one thread, which sleeps while there are none."""

    def __init__(self) -> None:
        self._watched: dict[int, Callable[[], None]] = {}
        self._changed = threading.Condition()
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="presence", daemon=True).start()

    @contextmanager
    def of(self, connection: socket.socket, gone: Callable[[], None]) -> Iterator[None]:
        """Watch a connection for as long as a ``with`` block lasts, and call ``gone`` once if its other end leaves."""
        number = connection.fileno()
        with self._changed:
            self._watched[number] = gone
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._watched.pop(number, None)

    def close(self) -> None:
        """Watch nothing any more."""
        with self._changed:
            self._over.set()
            self._changed.notify_all()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            with self._changed:
                self._changed.wait_for(lambda: self._watched or self._over.is_set())
                watched = dict(self._watched)
            poll = select.poll()
            for number in watched:
                poll.register(number, HUNG_UP)
            for number, seen in poll.poll(0):
                if seen & (GONE | HUNG_UP):
                    self._left(number, watched[number])

    def _left(self, number: int, gone: Callable[[], None]) -> None:
        with self._changed:
            if self._watched.get(number) is not gone:  # it ended meanwhile, and the number may be another's by now
                return
            del self._watched[number]
        gone()
