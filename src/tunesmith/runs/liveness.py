"""Is a process still the one that it was? A process id alone is used again; with its start and the boot it is not."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from tunesmith.spec.recipe import Part


class Process(Part):
    """A process, told apart from every other one that had or will have its id."""

    pid: int
    started: str | None = None
    """When it started, as the system counts. None where the system does not tell."""
    boot: str | None = None
    """Which start of the machine it belongs to."""


def this_process() -> Process:
    """Return the process that asks."""
    return process(os.getpid())


def process(pid: int) -> Process:
    """Describe the process that has this id now."""
    status = _status(pid)
    return Process(pid=pid, started=status[1] if status else None, boot=boot())


def is_alive(process: Process) -> bool:
    """Whether this very process runs; one that only waits to be reaped does not."""
    if process.boot is not None and boot() is not None and process.boot != boot():
        return False
    status = _status(process.pid)
    if status is None:
        return False
    letter, started = status
    return letter not in ("Z", "X") and (process.started is None or process.started == started)


@cache
def boot() -> str | None:
    """Name this start of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import psutil

        return f"{psutil.boot_time():.0f}"


def _status(pid: int) -> tuple[str, str] | None:
    """Return a process's state letter and its start time; None if there is no such process."""
    try:
        content = Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return None
    except FileNotFoundError:
        return _status_without_proc(pid) if not Path("/proc/self/stat").exists() else None
    # The second field, the name in brackets, may itself hold blanks and brackets.
    fields = content.rpartition(")")[2].split()
    return fields[0], fields[19]


def _status_without_proc(pid: int) -> tuple[str, str] | None:
    import psutil

    try:
        found = psutil.Process(pid)
        letter = "Z" if found.status() == psutil.STATUS_ZOMBIE else "R"
        return letter, f"{found.create_time():.2f}"
    except psutil.Error:
        return None
