"""A serve run: what it answers with, and when it ends."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket
from typing import Any

import pytest

from tunesmith.runs.control import ask
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import Header, RunFolder
from tunesmith.runs.liveness import process
from tunesmith.spec.errors import Cancelled
from tunesmith.spec.events import Finished, Serving
from tunesmith.spec.states import Request as Asked
from tunesmith.worker.reporting import Reporter
from tunesmith.worker.serve import run as serve

WAIT = 20.0


class Client(HTTPConnection):
    """A connection to a run's socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=WAIT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket(AF_UNIX, SOCK_STREAM)
        self.sock.settimeout(WAIT)
        self.sock.connect(self._path)


@pytest.fixture
def serving(tiny_model: Path, tmp_path: Path) -> RunFolder:
    request = {"model": str(tiny_model), "device": "cpu", "precision": "fp32", "rows": 2, "waiting": 3}
    return RunFolder.create(tmp_path, kind="serve", name="tiny", request=request)


def test_ends_when_the_process_that_made_it_is_gone(serving: RunFolder) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    gone = process(child.pid)
    child.communicate(b"\n")
    header: Header = serving.header().model_copy(update={"creator": gone})
    (serving.path / "run.json").write_text(header.model_dump_json())
    serve(serving, Reporter(serving))
    told = [event.body for event in read(serving.events, 0)[0]]
    assert isinstance(told[-1], Finished)
    [socket] = [Path(body.socket) for body in told if isinstance(body, Serving)]
    assert not socket.parent.exists()


class Ear(Reporter):
    """Tells when the run serves."""

    def __init__(self, run: RunFolder) -> None:
        super().__init__(run)
        self.serving = threading.Event()
        self.socket = ""

    def say(self, body: object) -> None:
        super().say(body)  # type: ignore[arg-type]
        if isinstance(body, Serving):
            self.socket = body.socket
            self.serving.set()


def chat(**body: Any) -> str:
    return json.dumps({"messages": [{"role": "user", "content": "Hi"}], **body})


def test_answers_until_it_is_asked_to_end_and_says_so_to_whoever_is_answered(
    serving: RunFolder, tiny_model: Path
) -> None:
    ear = Ear(serving)
    ended: list[BaseException] = []

    def work() -> None:
        try:
            serve(serving, ear)
        except Cancelled as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert ear.serving.wait(WAIT)
    assert len(ear.socket) < 100
    assert Path(ear.socket).parent.stat().st_mode & 0o077 == 0
    client = Client(ear.socket)
    client.request("POST", "/v1/chat/completions", chat(max_tokens=3))
    assert json.loads(client.getresponse().read())["usage"]["completion_tokens"] <= 3
    client.request("GET", "/healthz")
    health = json.loads(client.getresponse().read())
    assert (health["status"], health["model"], health["running"]) == ("ok", tiny_model.name, 0)
    assert health["memory_bytes"] > health["tokens"] > 0
    client.request("POST", "/v1/chat/completions", chat(stream=True, logprobs=True, n=2, max_tokens=400))
    response = client.getresponse()
    assert response.readline().startswith(b"data: ")
    ask(serving, Asked.CANCEL)
    thread.join(WAIT)
    assert len(ended) == 1
    try:
        rest = response.read().decode()
    except IncompleteRead as error:
        rest = error.partial.decode()
    assert "[DONE]" in rest
