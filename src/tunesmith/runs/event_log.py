"""The event log: append a line, read whole lines after an offset. One writer, any number of readers."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tunesmith.runs.durable import disk_full, is_no_room
from tunesmith.spec.errors import UnreadableFile
from tunesmith.spec.events import Body, Event, parse

BLOCK: Final = 64 * 1024
"""Bytes read at once when looking for the last line from behind."""


class EventWriter:
    """Appends events, each by one ``write()`` of one line; usable from several threads.

    A line that a killed writer left unfinished is cut off on opening, and the numbers go on where they stopped.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._end = _cut_torn_line(self._file)
        last = _last_line(self._file, self._end)
        self.seq = parse(last).seq if last else 0
        """Number of the last event."""

    def append(self, body: Body) -> Event:
        """Write one event; return it with its number and time.

        Raises:
            DiskFull: there is no room; the log stays as it was.
        """
        with self._lock:
            event = Event(seq=self.seq + 1, time=time.time(), body=body)
            line = event.line().encode() + b"\n"
            self._write(line)
            self.seq, self._end = event.seq, self._end + len(line)
            return event

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        """Write a line whole or not at all: a full disk takes the first part of it and says so only by the count."""
        try:
            written = os.write(self._file, line)
        except OSError as error:
            if is_no_room(error):
                raise disk_full(self._path, len(line)) from error
            raise
        if written < len(line):
            os.ftruncate(self._file, self._end)
            raise disk_full(self._path, len(line))


def read(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Return the events after ``offset`` bytes and the offset to go on from. A line that is not whole yet stays unread.

    Raises:
        UnreadableFile: a whole line is no event.
    """
    lines, end = read_lines(path, offset)
    events = []
    for line in lines:
        try:
            events.append(parse(line))
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableFile(path, f"a line is no event: {line[:60]!r}") from error
    return events, end


def read_lines(path: Path, offset: int = 0) -> tuple[list[bytes], int]:
    """Return the whole lines after ``offset`` bytes, unread, and the offset to go on from."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read()
    except FileNotFoundError:
        return [], offset
    whole = content[: content.rfind(b"\n") + 1]
    return whole.splitlines(), offset + len(whole)


def _cut_torn_line(file: int) -> int:
    """Cut off what follows the last line end; return the size that is left."""
    size = os.fstat(file).st_size
    end = _after_last_line_end(file, size)
    if end < size:
        os.ftruncate(file, end)
    return end


def _last_line(file: int, end: int) -> bytes:
    """Return the last whole line of a file that ends with one."""
    start = _after_last_line_end(file, end - 1) if end else 0
    return os.pread(file, end - start, start).rstrip(b"\n")


def _after_last_line_end(file: int, before: int) -> int:
    """Return the place behind the last line end among the first ``before`` bytes; 0 if there is none."""
    stop = before
    while stop > 0:
        start = max(0, stop - BLOCK)
        place = os.pread(file, stop - start, start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        stop = start
    return 0
