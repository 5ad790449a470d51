"""Jobs of a server that lives on this machine, by its HTTP interface: what commands call while there is one."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from tunesmith.service.system.server_file import ServerAddress, live_server
from tunesmith.settings import Settings
from tunesmith.spec.errors import Relayed, ServerGone, TunesmithError
from tunesmith.spec.job import JobSpec
from tunesmith.spec.states import RunState
from tunesmith.spec.work import EvaluateSpec, ExportSpec

TIMEOUT: Final = 30.0
"""Seconds that an answer may take: longer than the database waits for a writer."""
HELLO: Final = 5.0
"""Seconds within which a server that lives says so."""


@dataclass(frozen=True)
class RemoteJob:
    """A job as its server tells it."""

    id: str
    state: RunState
    name: str = ""
    reason: str | None = None
    waiting: str | None = None
    """Why it is still queued, in words, where there is something to say."""
    run: str | None = None
    """Id of the run that goes on, or of the last one."""
    error: dict[str, Any] | None = None
    """code, message and exit_code of a failed job."""
    warnings: tuple[str, ...] = ()
    created_at: float = 0.0
    progress: dict[str, Any] = field(default_factory=dict)
    """The newest numbers, such as phase and done."""
    result: dict[str, Any] | None = None
    """What a succeeded job made: model, output, summary."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.state.is_over


class RemoteServer:
    """One server. Each call is a connection of its own, so that a signal handler may call it too."""

    def __init__(self, address: ServerAddress) -> None:
        self.address = address
        self.url = address.url

    def submit(self, spec: JobSpec, folder: str) -> RemoteJob:
        """Queue a job whose relative paths start from ``folder``."""
        body = {"spec": spec.model_dump(mode="json"), "folder": folder}
        return _job(self._ask("POST", "/api/jobs", body, key=uuid.uuid4().hex))

    def submit_work(self, work: EvaluateSpec | ExportSpec, folder: str) -> RemoteJob:
        """Queue an evaluation or an export whose relative paths start from ``folder``."""
        asked = work.model_dump(mode="json", exclude_unset=True) | {"kind": work.kind}
        return _job(self._ask("POST", "/api/jobs", {"work": asked, "folder": folder}, key=uuid.uuid4().hex))

    def get(self, name: str) -> RemoteJob | None:
        """Return a job by its id or by the id of one of its runs; None if the server has none."""
        try:
            return _job(self._ask("GET", f"/api/jobs/{quote(name, safe='')}"))
        except Relayed as error:
            if error.code == "not_found":
                return None
            raise

    def waiting(self) -> list[RemoteJob]:
        """Return the jobs that are queued, the newest first."""
        page = self._ask("GET", "/api/jobs?" + urlencode({"state": "queued", "limit": 100}))
        return [_job(row) for row in page["jobs"]]

    def pause(self, job: str) -> RemoteJob:
        """Have a job save its state and stop."""
        return _job(self._ask("POST", f"/api/jobs/{job}/pause"))

    def resume(self, job: str, limits: Mapping[str, Any] | None = None) -> RemoteJob:
        """Queue a paused or failed job again, with larger limits by dotted path in the job."""
        body = {path.rpartition(".")[2]: value for path, value in (limits or {}).items()}
        return _job(self._ask("POST", f"/api/jobs/{job}/resume", body))

    def cancel(self, job: str) -> RemoteJob:
        """End a job."""
        return _job(self._ask("POST", f"/api/jobs/{job}/cancel"))

    def is_there(self) -> bool:
        """Whether it answers."""
        try:
            self._ask("GET", "/healthz", timeout=HELLO)
        except TunesmithError:
            return False
        return True

    def _ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, timeout: float = TIMEOUT
    ) -> Any:
        """Send a request; one that has a key is sent again if the connection broke, for it does nothing twice.

        Raises:
            Relayed: the server refuses, with its code and sentence.
            ServerGone: nobody answers.
        """
        for last in (key is None, True):
            try:
                return self._send(method, path, body, key, timeout)
            except (OSError, http.client.HTTPException, ValueError) as error:
                if last:
                    raise ServerGone(self.url) from error
        raise AssertionError("unreachable")

    def _send(self, method: str, path: str, body: Any, key: str | None, timeout: float) -> Any:
        where = urlsplit(self.url)
        headers = {"Authorization": f"Bearer {self.address.token}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        with closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=timeout)) as connection:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            content = answer.read()
        if answer.status >= 400:
            raise _refusal(answer.status, content)
        return json.loads(content) if content else None


def server_of(settings: Settings) -> RemoteServer | None:
    """Return the server of this home that lives and answers; None if there is none."""
    address = live_server(settings)
    if address is None:
        return None
    server = RemoteServer(address)
    return server if server.is_there() else None


def _job(content: dict[str, Any]) -> RemoteJob:
    """Read an answer; what a server of another version does not say stays open."""
    known = {name: content[name] for name in RemoteJob.__dataclass_fields__ if content.get(name) is not None}
    return RemoteJob(**known | {"state": RunState(content["state"]), "warnings": tuple(content.get("warnings") or ())})


def _refusal(status: int, content: bytes) -> Relayed:
    try:
        said = json.loads(content)["error"]
        code, message = str(said["code"]), str(said["message"])
    except (ValueError, KeyError, TypeError):
        code, message = "server", f"The server answered {status}. Its log says why."
    return Relayed(message, code, _exit_codes().get(code, 2 if status == 422 else 70))


def _exit_codes() -> dict[str, int]:
    return {kind.code: kind.exit_code for kind in _below(TunesmithError)}


def _below(kind: type[TunesmithError]) -> Iterator[type[TunesmithError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)
