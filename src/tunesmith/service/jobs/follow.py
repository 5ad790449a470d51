"""A run's events as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import is_running
from tunesmith.spec.events import Ended, Event, Failed, Finished


def follow(run: RunFolder, *, poll: float = 0.1) -> Iterator[Event]:
    """Yield all events of a run, from its first; wait for more, looking every ``poll`` seconds, until it is over."""
    offset = 0
    while True:
        # Life first: whatever was written before the processes were seen gone is read after.
        running = is_running(run)
        events, offset = read(run.events, offset)
        yield from events
        if events and isinstance(events[-1].body, Ended | Failed | Finished):
            return
        if not running:
            return
        if not events:
            time.sleep(poll)
