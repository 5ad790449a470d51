"""TensorBoard for runs: on this machine only, on a port that is free, for as long as somebody wants it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final

from tunesmith.runs.folder import Kind, RunFolder, run_folders
from tunesmith.service.jobs.index import find
from tunesmith.service.models.directory import is_model_directory
from tunesmith.settings import Settings
from tunesmith.spec.errors import NoFreePort, NoLogsYet, PackageMissing, RunNotFound
from tunesmith.spec.home_paths import expanded

HOST: Final = "127.0.0.1"
"""Whoever sees the charts sees the data's names: nobody but this machine."""
PORT: Final = 6006
PORTS_TRIED: Final = 100
RELOAD: Final = 5
"""Seconds between two looks at the logs."""
GRACE: Final = 5.0
"""Seconds to end in, before it is killed."""


class Charts:
    """TensorBoard while it is entered; runs can be added as they begin."""

    def __init__(self, runs: Iterable[RunFolder], *, port: int = PORT) -> None:
        self._runs = list(runs)
        self.asked = port
        self.port = port
        self._links: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where to look at it."""
        return f"http://localhost:{self.port}"

    def __enter__(self) -> Charts:
        """Start it.

        Raises:
            PackageMissing: TensorBoard is not installed.
            NoFreePort: the port and those after it are taken.
        """
        if importlib.util.find_spec("tensorboard") is None:
            raise PackageMissing("tensorboard", "train")
        self.port = free_port(self.asked)
        self._links = tempfile.TemporaryDirectory(prefix="tunesmith-charts-")
        for run in self._runs:
            self.add(run)
        self._process = _start(Path(self._links.name), self.port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            _stop(self._process)
        if self._links is not None:
            self._links.cleanup()

    def add(self, run: RunFolder) -> None:
        """Show a run too; TensorBoard finds it at its next look."""
        assert self._links is not None
        with contextlib.suppress(FileExistsError):
            os.symlink(run.logs_dir, Path(self._links.name) / run.id)

    def wait_until_ready(self, seconds: float = 60.0) -> bool:
        """Wait until it answers; False if it ended, or took too long."""
        until = time.monotonic() + seconds
        while self._process is not None and self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
                return True
            time.sleep(0.1)
        return False

    def wait(self) -> int:
        """Wait until it ends by itself; return its exit status."""
        assert self._process is not None
        return self._process.wait()


def runs_to_show(settings: Settings, reference: str | None) -> list[RunFolder]:
    """Return the runs with logs: all of them, those of an output or a model directory, or the one of that name.

    Raises:
        NoLogsYet: there are none.
        RunNotFound, RunAmbiguous: it is no folder, and no run is called so.
    """
    runs = [run for run in run_folders(settings.runs_dir) if run.header().kind is Kind.TRAIN]
    if reference is not None:
        runs = _of_folder(runs, expanded(reference)) or _of_name(settings, reference)
    shown = [run for run in runs if any(run.logs_dir.iterdir())] if runs else []
    if not shown:
        raise NoLogsYet(reference or settings.runs_dir)
    return shown


def runs_into(settings: Settings, folder: Path) -> list[RunFolder]:
    """Return the training runs into an output, or into any output of a model directory, the newest first."""
    return _of_folder([run for run in run_folders(settings.runs_dir) if run.header().kind is Kind.TRAIN], folder)


def free_port(first: int) -> int:
    """Return the port, or the next one that nobody listens on.

    Raises:
        NoFreePort: a hundred of them are taken.
    """
    last = min(first + PORTS_TRIED, 65_535)
    for port in range(first, last + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                return port
    raise NoFreePort(first, last)


def _of_folder(runs: Iterable[RunFolder], folder: Path) -> list[RunFolder]:
    place = os.path.realpath(folder)
    whole = is_model_directory(folder)
    found = []
    for run in runs:
        output = os.path.realpath(run.header().output or "/")
        if output == place or (whole and os.path.dirname(output) == place):
            found.append(run)
    return found


def _of_name(settings: Settings, reference: str) -> list[RunFolder]:
    """Return the run of that name; none where the name is a folder's."""
    try:
        return [find(settings, reference)]
    except RunNotFound:
        if expanded(reference).is_dir() or os.sep in reference:
            return []
        raise


def _start(logs: Path, port: int) -> subprocess.Popen[bytes]:
    options = ["--logdir", str(logs), "--host", HOST, "--port", str(port), "--reload_interval", str(RELOAD)]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tunesmith.service.system.charts_process", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is meant for the run.
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
