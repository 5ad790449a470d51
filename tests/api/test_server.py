from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from fleet import until
from tunesmith.service.context import Service
from tunesmith.service.system.server_file import live_server, live_servers
from tunesmith.settings import Settings

API = ("--role", "api")
SOON = 5.0
"""Seconds within which a server ends."""
BUSY = 423
TUS_TYPE = "application/offset+octet-stream"


@contextlib.contextmanager
def serving(home: Path, *options: str, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a server; whatever is left of it at the end is ended."""
    command = [sys.executable, "-m", "tunesmith.cli.main", "--home", str(home), "serve", *options]
    env = {**os.environ, **(environment or {})}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=home)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end and return the exit status and all that was printed."""
    printed, _ = process.communicate(timeout=30)
    return process.returncode, printed


def address(home: Path) -> str:
    found = until(lambda: live_server(Settings(home=home)), "the server is announced")
    return str(found.url)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_it_answers_without_torch(home: Path) -> None:
    port = free_port()
    with serving(home, "--port", str(port)) as server:

        def answers() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
            return False

        until(answers, "it answers")
        assert httpx.get(f"http://127.0.0.1:{port}/api/jobs").status_code == 200
        assert "libtorch" not in Path(f"/proc/{server.pid}/maps").read_text()
        until(lambda: httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200, "the supervisor turns")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_its_file_and_says_that_runs_go_on(home: Path, number: signal.Signals) -> None:
    with serving(home, "--port", "0") as server:
        url = address(home)
        with httpx.stream("GET", f"{url}/api/events") as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("retry")
            server.send_signal(number)
            assert list(lines) is not None
        status, printed = ended(server)
    assert status == 0 and "Runs go on" in printed and url in printed and "Traceback" not in printed
    assert list(home.glob("server*.json")) == []


def test_it_ends_soon_whoever_still_listens_or_sends_and_keeps_what_came(home: Path) -> None:
    tus = {"Tus-Resumable": "1.0.0"}
    with serving(home, "--port", "0") as server:
        url = address(home)
        where = httpx.post(f"{url}/api/uploads", headers={**tus, "Upload-Length": "100"}).headers["Location"]
        host, _, port = url.removeprefix("http://").partition(":")
        with (
            httpx.stream("GET", f"{url}/api/events") as stream,
            socket.create_connection((host, int(port))) as sender,
        ):
            assert next(stream.iter_lines()).startswith("retry")
            head = ["Host: localhost", "Content-Length: 100", "Upload-Offset: 0", "Tus-Resumable: 1.0.0",
                    "Content-Type: application/offset+octet-stream"]  # fmt: skip
            lines = [f"PATCH {where} HTTP/1.1", *head, "", ""]
            sender.sendall("\r\n".join(lines).encode() + b"x" * 10)
            piece = {**tus, "Upload-Offset": "0", "Content-Type": TUS_TYPE}
            until(
                lambda: httpx.patch(f"{url}{where}", headers=piece).status_code == BUSY,
                "the upload is held by the one who sends",
            )
            begun = time.monotonic()
            server.send_signal(signal.SIGTERM)
            status, printed = ended(server)
            took = time.monotonic() - begun
    assert status == 0 and "Traceback" not in printed and took < SOON
    with serving(home, "--port", "0"):
        again = httpx.head(f"{address(home)}{where}", headers=tus)
        assert again.status_code == 200 and again.headers["Upload-Offset"] == "10"


def test_several_servers_of_a_home_have_a_file_each_that_only_its_user_reads(home: Path) -> None:
    with serving(home, "--port", "0", "--role", "api"), serving(home, "--port", "0", "--role", "api") as other:
        until(lambda: len(live_servers(Settings(home=home))) == 2, "both are announced")
        assert {path.stat().st_mode & 0o777 for path in home.glob("server*.json")} == {0o600}
        other.kill()
        other.wait()
        assert len(live_servers(Settings(home=home))) == 1


def test_the_token_of_the_file_is_the_operators(home: Path) -> None:
    with serving(home, "--port", "0", "--role", "api"):
        found = until(lambda: live_server(Settings(home=home)), "the server is announced")
        answer = httpx.get(f"{found.url}/metrics", headers={"Authorization": f"Bearer {found.token}"})
        assert answer.status_code == 200


def test_a_port_that_is_taken_is_one_sentence(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with serving(home, "--port", str(port)) as server:
            status, printed = ended(server)
    assert status == 78 and f"Port {port} of 127.0.0.1" in printed and len(printed.splitlines()) == 1


def test_what_is_typed_beats_the_environment(home: Path) -> None:
    with serving(home, "--port", "0", environment={"TUNESMITH_PORT": "1", "PORT": "2", "TUNESMITH_ROLE": "api"}):
        assert httpx.get(f"{address(home)}/readyz").json()["supervisor"] == "none"


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        (("--role", "boss"), 2, "boss"),
        (("--port", "70000"), 2, "70000"),
        (("--database-url", "postgresql://nobody:secret@127.0.0.1:1/none"), 78, "database"),
        (("--database-url", "mysql://there"), 78, "database"),
        (("--host", "0.0.0.0"), 78, "tunesmith keys create"),
        (("--host", "192.0.2.1"), 78, "192.0.2.1"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(
    home: Path, options: tuple[str, ...], status: int, sentence: str
) -> None:
    with serving(home, "--port", "0", *options) as server:
        found, printed = ended(server)
    assert found == status and sentence in printed
    assert "Traceback" not in printed and "secret" not in printed and len(printed.splitlines()) == 1


def test_a_trusted_name_opens_a_server_that_others_reach(home: Path) -> None:
    with serving(home, "--port", "0", "--host", "0.0.0.0", *API, "--trusted-network", "balancer,ml-training"):
        url = address(home)
        assert httpx.get(f"{url}/api/jobs", headers={"Host": "balancer"}).status_code == 200
        assert httpx.get(f"{url}/api/jobs", headers={"Host": "other"}).status_code == 421
        assert httpx.get(f"{url}/api/jobs").status_code == 200


def test_a_worker_opens_no_port_and_is_seen_in_the_database(home: Path, database_url: str) -> None:
    from tunesmith.service.context import open_service
    from tunesmith.service.system import overview

    with serving(home, "--role", "worker", "--database-url", database_url) as server:
        service: Service = open_service(Settings(home=home, database_url=database_url))
        until(lambda: overview.park(service).servers, "it is registered")
        assert live_servers(Settings(home=home)) == []
        listening = [each for each in psutil.Process(server.pid).net_connections() if each.status == "LISTEN"]
        assert listening == []
        server.send_signal(signal.SIGTERM)
        status, printed = ended(server)
        service.close()
    assert status == 0 and "opens no port" in printed
