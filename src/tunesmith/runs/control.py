"""What is asked of a run: a file that the service side replaces as a whole and the worker looks at between steps.

Nothing here waits or takes a lock, so that a signal handler may ask.
"""

from __future__ import annotations

import time
import uuid
from typing import Final, NamedTuple

from tunesmith.runs.durable import read_json, write_json
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.states import Request

_WEIGHT: Final = {Request.NONE: 0, Request.CHECKPOINT: 1, Request.PAUSE: 2, Request.CANCEL: 3}
FILE: Final = "control.json"


class Asked(NamedTuple):
    """A request, told apart from an earlier one of the same words."""

    request: Request = Request.NONE
    id: str = ""


def ask(run: RunFolder, request: Request) -> None:
    """Ask a run for something. An earlier request that goes further stays in force: a cancelled run never pauses."""
    if _WEIGHT[request] >= _WEIGHT[asked(run)]:
        content = {"request": request, "id": uuid.uuid4().hex[:12], "time": time.time()}
        write_json(run.path / FILE, content)


def asked(run: RunFolder) -> Request:
    """Return what is asked of a run now."""
    return _read(run).request


class ControlWatch:
    """Looks at what is asked, again and again; costs one ``stat`` while nothing changes."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._path = run.path / FILE
        self._seen: tuple[int, int] | None = None
        self._asked = Asked()

    def look(self) -> Asked:
        """Return what is asked now."""
        try:
            stat = self._path.stat()
        except OSError:
            return self._asked
        if (mark := (stat.st_ino, stat.st_mtime_ns)) != self._seen:
            self._asked, self._seen = _read(self._run), mark
        return self._asked


def _read(run: RunFolder) -> Asked:
    content = read_json(run.path / FILE)
    if not isinstance(content, dict) or content.get("request") not in {str(request) for request in Request}:
        return Asked()
    return Asked(Request(content["request"]), str(content.get("id", "")))
