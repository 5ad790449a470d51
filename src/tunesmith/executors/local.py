"""Runs workers on this machine, each under a tiny parent process (``parent.py``) that writes down how it ended."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tunesmith.runs.durable import disk_full
from tunesmith.runs.exits import Exit, exit_of
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import Handle, handle_of
from tunesmith.runs.launch import launch_of
from tunesmith.runs.liveness import Process, is_alive, process
from tunesmith.spec.errors import RunAbandoned, RunCrashed, TunesmithError

PARENT: Final = Path(__file__).with_name("parent.py")
WORKER: Final = ("-m", "tunesmith.worker")
ENVIRONMENT: Final = {
    "OMP_WAIT_POLICY": "PASSIVE",  # Spinning threads fight over the cores with whatever else runs.
    # A thread that spins for some microseconds before it sleeps saves a third of a step on an idle machine; spinning
    # for long makes a busy one many times slower (docs/decisions/0006).
    "GOMP_SPINCOUNT": "4000",
    "HF_HUB_OFFLINE": "1",  # A worker gets local paths; looking for the hub costs half a minute where there is none.
    "PYTHONUNBUFFERED": "1",
    "PYTHONSAFEPATH": "1",  # A torch.py in the user's working folder is not the torch that is meant.
    "TOKENIZERS_PARALLELISM": "false",
}
"""What every worker gets, whatever the run."""
GRACE: Final = 5.0
"""Seconds in which the parent writes down the end of a worker that was killed."""


class LocalExecutor:
    """Workers on this machine.

    ``worker`` is what stands between the interpreter and the run folder on the worker's command line.
    """

    def __init__(self, worker: Sequence[str] = WORKER) -> None:
        self._worker = tuple(worker)

    def launch(self, run: RunFolder, *, env: Mapping[str, str], processes: int = 1) -> Handle:
        """Start the run's worker in the background and return its processes.

        Raises:
            RunCrashed: the system refuses to start it.
            RunAbandoned: the run was given up; nobody starts it any more.
        """
        command = _command(self._worker, run, processes)
        start = [sys.executable, "-S", "-E", str(PARENT), str(run.path), run.header().folder, "--", *command]
        # Its output ends when the worker runs, its handle is written and the launcher may go on.
        said = subprocess.run(
            start, stdin=subprocess.DEVNULL, capture_output=True, env={**os.environ, **ENVIRONMENT, **env}, check=False
        )
        handle = handle_of(run)
        if handle is None:
            launch = launch_of(run)
            if launch is not None and launch.parent is None:
                raise RunAbandoned(run.id)
            raise _not_started(run, said.stderr.decode(errors="replace").strip() or f"exit code {said.returncode}")
        return handle

    def poll(self, handle: Handle) -> Exit | None:
        """Return how the run ended; None while it goes on."""
        if handle.is_alive:
            return None
        untold = Exit(code=None, signal=None, peak_memory_bytes=0, ended_at=time.time())
        return exit_of(RunFolder(Path(handle.folder))) or untold

    def stop(self, handle: Handle, *, force: bool) -> None:
        """Ask the worker to end, or with ``force`` end it and all its processes at once, and see it ended."""
        if not force:
            _signal(handle, signal.SIGTERM)
            return
        orphans = [] if is_alive(handle.parent) else _descendants(handle)
        _signal(handle, signal.SIGKILL)
        for orphan in orphans:
            with contextlib.suppress(OSError):
                os.kill(orphan.pid, signal.SIGKILL)
        until = time.monotonic() + GRACE
        while (handle.is_alive or any(map(is_alive, orphans))) and time.monotonic() < until:
            time.sleep(0.005)


def _command(worker: Sequence[str], run: RunFolder, processes: int) -> list[str]:
    """Return the worker's command line; several processes are started and watched by torch's own launcher."""
    shared = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [sys.executable, *(shared if processes > 1 else ()), *worker, str(run.path)]


def _not_started(run: RunFolder, why: str) -> TunesmithError:
    if os.strerror(errno.ENOSPC) in why:
        return disk_full(run.path, 4096)
    return RunCrashed(run.id, f"its process cannot be started ({why.splitlines()[-1]})", "Mend that, then start again.")


def _signal(handle: Handle, number: signal.Signals) -> None:
    """Signal the worker's group, unless its id belongs to another process by now."""
    if is_alive(handle.worker):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(handle.worker.pid, number)


def _descendants(handle: Handle) -> list[Process]:
    """Return the processes that the worker started; with the parent gone nobody else ends them."""
    import psutil

    if not is_alive(handle.worker):
        return []
    with contextlib.suppress(psutil.Error):
        return [process(child.pid) for child in psutil.Process(handle.worker.pid).children(recursive=True)]
    return []
