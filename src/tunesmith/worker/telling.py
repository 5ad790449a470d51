"""How a run that is no training says how far it is, and hears that it is to end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tunesmith.spec.errors import Cancelled, Paused
from tunesmith.spec.events import Progress
from tunesmith.spec.states import Request

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder
    from tunesmith.worker.reporting import Reporter

Beat = Callable[[float], None]
"""Hears the share that is done of something; raises where the run is to end."""

TELL_EVERY: Final = 0.5
"""Seconds between two words about how far it is."""


class Teller:
    """Tells how far an evaluation is, and ends it where that is asked."""

    def __init__(self, run: RunFolder, reporter: Reporter) -> None:
        self._run = run
        self._reporter = reporter
        self._told_at = 0.0

    def doing(self, message: str) -> Beat:
        """Return what hears the share that is done of something.

        Raises:
            Paused, Cancelled: from within, where the run was asked to end.
        """

        def beat(done: float) -> None:
            asked = self._reporter.request()
            if asked in (Request.CANCEL, Request.PAUSE):
                self._reporter.acknowledge(asked, 0)
                raise Cancelled(self._run.id) if asked is Request.CANCEL else Paused(self._run.id, 0)
            if time.monotonic() - self._told_at >= TELL_EVERY or done in (0.0, 1.0):
                self._reporter.say(Progress(message=message, done=done))
                self._told_at = time.monotonic()

        beat(0.0)
        return beat
