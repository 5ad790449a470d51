"""Ends a run that nobody would follow up: an export or an evaluation of a command line that is gone."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Final

from tunesmith.runs.control import ask
from tunesmith.runs.liveness import is_alive
from tunesmith.spec.states import Request

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder
    from tunesmith.worker.reporting import Reporter

LOOK_EVERY: Final = 0.2
"""Seconds between two looks at the creator."""


def end_with_creator(run: RunFolder, reporter: Reporter) -> None:
    """From now on the run is cancelled when the process that made it is gone, however that went.

    The reporter must break its work off at a signal (``Reporter.listen``). A job of a server goes on without it: the
    next server follows it up.
    """
    creator = run.header().creator

    def watch() -> None:
        while is_alive(creator):
            if reporter.has_ended:
                return
            time.sleep(LOOK_EVERY)
        if not reporter.has_ended:
            ask(run, Request.CANCEL)
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="creator", daemon=True).start()
