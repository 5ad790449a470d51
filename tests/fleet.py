"""Several servers on one database, and ways to hurt them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from tunesmith.runs.folder import RunFolder
from tunesmith.runs.handle import Handle, handle_of

SCRIPT: Final = Path(__file__).with_name("light_server.py")
PATIENCE: Final = 60.0
"""Seconds within which anything that a test waits for has happened, unless something is broken."""


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait for a condition and return what it gave."""
    start = time.monotonic()
    while (waited := time.monotonic() - start) < patience:
        if found := condition():
            return found
        # What comes soon is seen at once; what takes long does not take the processor from what it waits for.
        time.sleep(min(0.1, 0.01 + waited / 50))
    raise AssertionError(f"not within {patience:.0f} seconds: {what}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class LightServer:
    """One server process; it can be killed and started again on the same port."""

    def __init__(self, home: Path, database_url: str, machine: str, slots: int = 1, kind: str = "light") -> None:
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._arguments = [str(home), database_url, str(self.port), machine, str(slots), kind]
        self._log = home / f"server-{self.port}.log"
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            command = [sys.executable, str(SCRIPT), *self._arguments]
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def wait(self) -> LightServer:
        """Wait until it answers."""
        until(self._answers, f"{self.url} answers; its log: {self.log()[-2000:]}")
        return self

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended: {self.log()[-3000:]}")
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/healthz", timeout=2).status_code == 200
        return False

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        if number is signal.SIGKILL:
            self.process.wait()

    def restart(self) -> None:
        """Start it again, whether it lives or not."""
        if self.process.poll() is None:
            self.kill()
        self.process = self._start()


@contextmanager
def fleet(
    home: Path, database_url: str, count: int, *, slots: int = 1, kind: str = "light", machine: str = "here"
) -> Iterator[list[LightServer]]:
    """Run servers that share a home and a database; whatever is left of them at the end is ended."""
    servers: list[LightServer] = []
    try:
        for _ in range(count):
            servers.append(LightServer(home, database_url, machine, slots, kind).wait())
        yield servers
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.kill()
        for process in processes_of(home):
            with suppress(psutil.Error):
                process.kill()


def post(servers: list[LightServer], path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Post until a server answers, under one idempotency key: as a careful client does."""
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    end = time.monotonic() + PATIENCE
    turn = 0
    while time.monotonic() < end:
        turn += 1
        with suppress(httpx.TransportError):
            answer = httpx.post(servers[turn % len(servers)].url + path, json=body, headers=headers, timeout=20)
            if answer.status_code < 300:
                found: dict[str, Any] = answer.json()
                return found
            assert answer.status_code in (409, 429, 503), answer.text
        time.sleep(0.02)
    raise AssertionError(f"nobody took {path}")


def living_runs(home: Path) -> list[Handle]:
    """Return the processes of the runs that go on."""
    found = []
    for entry in os.scandir(home / "runs") if (home / "runs").is_dir() else ():
        if not entry.name.startswith(".") and not os.path.exists(f"{entry.path}/exit.json"):
            handle = handle_of(RunFolder(Path(entry.path)))
            if handle is not None and handle.is_alive:
                found.append(handle)
    return found


def processes_of(home: Path) -> list[psutil.Process]:
    """Return every process whose command line names the home: servers, parents, workers."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            if process.pid != os.getpid() and any(str(home) in word for word in process.info["cmdline"] or ()):
                found.append(process)
    return found


def light_job(model: Path, data: Path, output: Path, *, steps: int = 10, does: str = "train") -> dict[str, Any]:
    """A job for the scripted worker."""
    return json.loads(
        json.dumps(
            {
                "spec": {
                    "name": output.name,
                    "model": {"source": str(model)},
                    "datasets": [{"uri": str(data)}],
                    "recipe": {"max_steps": steps, "epochs": 1000},
                    "output": {"dir": str(output)},
                    "resources": {"device": "auto", "threads": 1},
                    "labels": {"does": does},
                }
            }
        )
    )
