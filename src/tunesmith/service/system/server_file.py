"""Which servers of a home live on this machine, and the token with which its user's commands get in.

Each server keeps one file, ``server.json`` for the first and ``server-PID.json`` for one that comes beside it, readable
by its user alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from tunesmith.runs.durable import read_json
from tunesmith.runs.liveness import Process, is_alive, this_process
from tunesmith.settings import Settings
from tunesmith.spec.recipe import Part

FIRST: Final = "server.json"


class ServerAddress(Part):
    """How the commands of this machine reach a server."""

    url: str
    """Where it listens, on a loopback address; without a slash at the end."""
    token: str
    """Sent as ``Authorization: Bearer``, it makes whoever can read the file the operator."""
    process: Process


@contextmanager
def announced(settings: Settings, url: str, token: str) -> Iterator[ServerAddress]:
    """Have this process found as a server while the context is entered."""
    address = ServerAddress(url=url.rstrip("/"), token=token, process=this_process())
    path = _write(settings.home, address)
    try:
        yield address
    finally:
        path.unlink(missing_ok=True)


def live_servers(settings: Settings) -> list[ServerAddress]:
    """Return the servers of this home whose processes live, the first one first."""
    found = [_read(path) for path in sorted(settings.home.glob("server*.json"), key=lambda path: path.stem)]
    return [address for address in found if address is not None and is_alive(address.process)]


def live_server(settings: Settings) -> ServerAddress | None:
    """Return a server of this home that lives; None if there is none."""
    return next(iter(live_servers(settings)), None)


def _write(home: Path, address: ServerAddress) -> Path:
    """Take the first name, or one of its own where a server that lives has it."""
    home.mkdir(parents=True, exist_ok=True)
    draft = home / f".server-{address.process.pid}.json"
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(address.model_dump(), file)
    first = _read(home / FIRST)
    taken = first is not None and is_alive(first.process) and first.process != address.process
    path = home / (f"server-{address.process.pid}.json" if taken else FIRST)
    os.replace(draft, path)
    return path


def _read(path: Path) -> ServerAddress | None:
    try:
        content = read_json(path)
        return ServerAddress.model_validate(content) if content is not None else None
    except (PermissionError, ValidationError):
        return None  # Another user's server is none of ours.
