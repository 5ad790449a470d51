"""``tunesmith serve`` as a user starts it: a process of its own on a free port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from fleet import processes_of, until

ADDRESS = re.compile(r"http://[0-9.]+:\d+")


class Served:
    """One server process."""

    def __init__(self, home: Path, *arguments: str, folder: Path, port: int = 0, **variables: str) -> None:
        self.home, self.folder = home, folder
        self.log = folder / f"serve-{len(list(folder.glob('serve-*.log')))}.log"
        command = [sys.executable, "-m", "tunesmith.cli.main", "--home", str(home), "serve", *arguments]
        environment = {name: os.environ[name] for name in os.environ if not name.startswith("TUNESMITH_")} | variables
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(port)],
                cwd=folder, stdout=log, stderr=log, start_new_session=True,
                env={"TUNESMITH_RATE_LIMIT": "0"} | environment | {"PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"},
            )  # fmt: skip
        found = until(self._address, "the server says where it listens")
        self.url: str = found.group()
        until(self._answers, "the server answers")

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def _address(self) -> re.Match[str] | None:
        assert self.process.poll() is None, self.said()
        return ADDRESS.search(self.said())

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.said()
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200
        return False

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)


@contextmanager
def served(home: Path, *arguments: str, folder: Path, port: int = 0, **variables: str) -> Iterator[Served]:
    """Run a server; its jobs' processes are ended with it."""
    server = Served(home, *arguments, folder=folder, port=port, **variables)
    try:
        yield server
    finally:
        server.end()
        for process in processes_of(home):
            with suppress(psutil.Error):
                process.kill()
