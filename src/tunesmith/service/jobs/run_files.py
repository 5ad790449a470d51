"""Runs as the API shows them: which there are, what their workers printed, what they saved."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tunesmith.runs import checkpoints
from tunesmith.runs.folder import RunFolder
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.service.jobs.queue import StoredRun
from tunesmith.spec.errors import Conflict, NotFound
from tunesmith.store import runs as stored_runs

PAGE: Final = 256 * 1024
"""Bytes of a log that are read at once."""
_ESCAPES: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # colours and cursor movements
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links and other strings
    r"|[ -/]*[0-~])"  # all the others
)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class LogPage:
    """A part of a log: whole lines, as text that steers no terminal."""

    text: str
    end: int
    """Where the next part begins, in bytes."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint of a run."""

    name: str
    step: int
    bytes: int
    best: bool
    last: bool


def get(service: Service, id: str, by: Principal) -> StoredRun:
    """Return a run.

    Raises:
        NotFound: there is none, or it belongs to an organisation that is not theirs.
    """
    with service.database.read() as connection:
        run = stored_runs.get(connection, id)
    if run is None or not by.sees(run.org):
        raise NotFound("run", id)
    return run


def listed(
    service: Service, by: Principal, *, org: str | None, job: str | None, before: str | None, limit: int
) -> list[StoredRun]:
    """Return the runs that a principal may see, the newest first.

    Raises:
        Forbidden: they ask for those of an organisation that is not theirs.
        NotFound: there is no such job, or no run ``before``.
    """
    from tunesmith.service.jobs import queue

    org = by.acting_for(org) if org or by.org else None
    id = queue.get(service, job, by, kinds=queue.ALL_KINDS).id if job else None
    earlier = get(service, before, by) if before else None
    with service.database.read() as connection:
        return stored_runs.listed(connection, org=org, job=id, before=earlier, limit=limit)


def is_over(service: Service, id: str) -> bool:
    """Whether a run is over, or gone."""
    with service.database.read() as connection:
        run = stored_runs.get(connection, id)
    return run is None or run.state.is_over


def saved(service: Service, run: StoredRun) -> list[Saved]:
    """Return the states that a run saved and still has, the oldest first.

    Raises:
        Conflict: its folder lies on another machine.
    """
    folder = _folder(service, run)
    best, last = (checkpoints.pointed(folder, name) for name in (checkpoints.BEST, checkpoints.LAST))
    found = checkpoints.listed(folder)
    newest = last or (found[-1] if found else None)
    return [
        Saved(
            name=each.name,
            step=each.step,
            bytes=each.bytes,
            best=best is not None and each.step == best.step,
            last=newest is not None and each.step == newest.step,
        )
        for each in found
    ]


def log_page(service: Service, run: StoredRun, offset: int) -> LogPage:
    """Return what a run printed after so many bytes, up to the end of a line.

    Raises:
        Conflict: its folder lies on another machine.
    """
    content = _read(_folder(service, run), offset)
    whole = content.rfind(b"\n") + 1
    # A line without an end is handed on when the page is full of it, or when nobody will end it any more.
    if whole == 0 and (len(content) == PAGE or run.state.is_over):
        whole = len(content)
    return LogPage(_plain(content[:whole]), offset + whole)


def last_lines(service: Service, run: StoredRun, count: int) -> LogPage:
    """Return the last lines of a log, as far as they fit into a page.

    Raises:
        Conflict: its folder lies on another machine.
    """
    folder = _folder(service, run)
    size = folder.log.stat().st_size if folder.log.exists() else 0
    text = _plain(_read(folder, max(0, size - PAGE)))
    return LogPage("".join(text.splitlines(keepends=True)[-count:]), size)


def _folder(service: Service, run: StoredRun) -> RunFolder:
    folder = RunFolder(service.settings.runs_dir / run.id)
    if not folder.exists() and run.machine != service.settings.machine:
        raise Conflict(f"Run {run.id} lies on machine '{run.machine}'.", "Ask a server there.")
    return folder


def _read(folder: RunFolder, offset: int) -> bytes:
    try:
        with folder.log.open("rb") as file:
            file.seek(offset)
            return file.read(PAGE)
    except FileNotFoundError:
        return b""


def _plain(content: bytes) -> str:
    """Return text without anything that steers a terminal; a progress bar that returns becomes lines."""
    text = content.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", _ESCAPES.sub("", text))
