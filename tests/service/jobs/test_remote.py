"""Calls on a server that answers, refuses, or is not there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tunesmith.runs.liveness import this_process
from tunesmith.service.jobs.remote import RemoteServer
from tunesmith.service.system.server_file import ServerAddress
from tunesmith.spec.errors import Relayed, ServerGone
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef
from tunesmith.spec.states import RunState

SPEC = JobSpec(model=ModelRef(source="m"), datasets=[DatasetRef(uri="d")])
JOB = b'{"id": "job-0123456789ab", "state": "queued", "waiting": "no room", "later": 1}'
Answer = tuple[int, bytes]


class Server(ThreadingHTTPServer):
    """Gives these answers, one after another; an empty one hangs up."""

    answers: list[Answer]
    heard: list[dict[str, str]]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.heard.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
        status, content = server.answers.pop(0)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def there() -> Iterator[tuple[RemoteServer, Server]]:
    server = Server(("127.0.0.1", 0), Handler)
    server.answers, server.heard = [], []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = ServerAddress(url=f"http://127.0.0.1:{server.server_port}", token="secret", process=this_process())
    yield RemoteServer(address), server
    server.shutdown()
    server.server_close()


def test_a_job_is_posted_with_the_token_and_read_back(there: tuple[RemoteServer, Server]) -> None:
    remote, server = there
    server.answers = [(201, JOB)]
    job = remote.submit(SPEC, "/work")
    assert (job.id, job.state, job.waiting, job.run) == ("job-0123456789ab", RunState.QUEUED, "no room", None)
    assert server.heard[0]["authorization"] == "Bearer secret"


def test_a_submission_that_broke_off_is_sent_again_under_the_same_key(there: tuple[RemoteServer, Server]) -> None:
    remote, server = there
    server.answers = [(0, b""), (201, JOB)]
    remote.submit(SPEC, "/work")
    first, second = server.heard
    assert first["idempotency-key"] == second["idempotency-key"]


def test_what_has_no_key_is_sent_once(there: tuple[RemoteServer, Server]) -> None:
    remote, server = there
    server.answers = [(0, b""), (200, JOB)]
    with pytest.raises(ServerGone):
        remote.cancel("job-0123456789ab")
    assert len(server.heard) == 1


def test_a_refusal_keeps_its_code_its_sentence_and_its_exit_status(there: tuple[RemoteServer, Server]) -> None:
    remote, server = there
    server.answers = [(422, b'{"error": {"code": "data_not_found", "message": "x: no such data."}}')]
    with pytest.raises(Relayed, match="x: no such data") as refused:
        remote.submit(SPEC, "/work")
    assert (refused.value.code, refused.value.exit_code) == ("data_not_found", 65)


def test_an_answer_of_something_else_is_one_sentence_too(there: tuple[RemoteServer, Server]) -> None:
    remote, server = there
    server.answers = [(502, b"<html>Bad Gateway</html>")]
    with pytest.raises(Relayed, match="answered 502"):
        remote.pause("job-0123456789ab")


def test_a_job_that_nobody_knows_is_none(there: tuple[RemoteServer, Server]) -> None:
    remote, server = there
    server.answers = [(404, b'{"error": {"code": "not_found", "message": "There is none."}}')]
    assert remote.get("job-0123456789ab") is None


def test_a_server_that_is_not_there_is_gone() -> None:
    remote = RemoteServer(ServerAddress(url="http://127.0.0.1:9", token="", process=this_process()))
    assert not remote.is_there()
    with pytest.raises(ServerGone):
        remote.get("job-0123456789ab")
