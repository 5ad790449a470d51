"""HTTP on a Unix socket, from an engine that says the last turn again."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from scripted_engine import BREAKS, FOR_EVER, Echo
from tunesmith.worker.serving.socket_server import SocketServer

WAIT = 20.0
"""Seconds after which something that should happen at once has failed."""
CHAT = "/v1/chat/completions"


@pytest.fixture
def engine() -> Echo:
    return Echo()


@pytest.fixture
def server(engine: Echo) -> Iterator[SocketServer]:
    with tempfile.TemporaryDirectory(prefix="t-") as folder, SocketServer(Path(folder) / "a.sock", engine) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()
        for said in engine.said:
            said.close()


class Client(HTTPConnection):
    """One connection to the socket."""

    def __init__(self, server: SocketServer) -> None:
        super().__init__("localhost", timeout=WAIT)
        self.path = str(server.server_address)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(WAIT)
        self.sock.connect(self.path)

    def ask(self, method: str, path: str, body: object = None) -> HTTPResponse:
        content = body if isinstance(body, bytes) else json.dumps(body)
        self.request(method, path, None if body is None else content)
        return self.getresponse()


def ask(server: SocketServer, path: str, body: object, method: str = "POST") -> tuple[int, dict[str, Any]]:
    response = Client(server).ask(method, path, body)
    return response.status, json.loads(response.read())


def turns(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def events(response: HTTPResponse) -> list[str]:
    """Return what each event of a stream holds."""
    assert response.getheader("Content-Type") == "text/event-stream; charset=utf-8"
    *whole, rest = response.read().decode().split("\n\n")
    assert rest == ""
    assert all(event.startswith("data: ") for event in whole)
    return [event.removeprefix("data: ") for event in whole]


def test_answers_whole(server: SocketServer) -> None:
    status, body = ask(server, CHAT, turns("Grüß Gott"))
    assert status == 200
    assert body["choices"][0]["message"]["content"] == "Grüß Gott"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"] == {"prompt_tokens": 4, "completion_tokens": 10, "total_tokens": 14}


def test_answers_piece_by_piece(server: SocketServer) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *chunks, done = events(Client(server).ask("POST", CHAT, {**turns("Hi"), **options}))
    assert done == "[DONE]"
    read = [json.loads(chunk) for chunk in chunks]
    assert [chunk["choices"][0]["delta"] for chunk in read[:-1]] == [
        {"role": "assistant", "content": "", "refusal": None}, {"content": "H"}, {"content": "i"}, {},
    ]  # fmt: skip
    assert [chunk["choices"][0]["finish_reason"] for chunk in read[:-1]] == [None, None, None, "stop"]
    assert [chunk["usage"] for chunk in read[:-1]] == [None] * 4
    assert read[-1]["choices"] == []
    assert read[-1]["usage"] == {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}
    assert len({(chunk["id"], chunk["created"], chunk["object"]) for chunk in read}) == 1


def test_one_connection_serves_one_request_after_another(server: SocketServer) -> None:
    client = Client(server)
    for text in ("one", "two"):
        streamed = events(client.ask("POST", CHAT, {**turns(text), "stream": True}))
        assert "".join(json.loads(e)["choices"][0]["delta"].get("content", "") for e in streamed[:-1]) == text
        body = json.loads(client.ask("POST", CHAT, turns(text)).read())
        assert body["choices"][0]["message"]["content"] == text


def test_completes_text(server: SocketServer) -> None:
    status, body = ask(server, "/v1/completions", {"prompt": "Once", "max_tokens": 2})
    assert (status, body["choices"][0]["text"], body["choices"][0]["finish_reason"]) == (200, "On", "length")


def test_says_that_it_is_well_and_loads_and_drops_adapters(server: SocketServer) -> None:
    assert ask(server, "/healthz", None, "GET") == (200, {"status": "ok", "model": "echo"})
    assert ask(server, "/adapters", {"adapter": "/a"}) == (200, {"adapter": "/a"})
    assert ask(server, "/adapters", {"adapter": "/a"}, "DELETE") == (200, {"adapter": "/a", "unloaded": True})
    assert ask(server, "/adapters", {"adapter": "/b"}, "DELETE") == (200, {"adapter": "/b", "unloaded": False})


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "param"),
    [
        (CHAT, b"{", 422, "bad_value", "body"),
        (CHAT, b"[]", 422, "bad_value", "body"),
        (CHAT, b'{"messages": "\xff"}', 422, "bad_value", "body"),
        (CHAT, b'{"messages": [{"role": "user", "content": "\\ud800"}]}', 422, "bad_value", "body"),
        (CHAT, b"[" * 100_000, 422, "bad_value", "body"),
        (CHAT, {"messages": []}, 422, "bad_value", "messages"),
        (CHAT, {"prompt": "x", "tempo": 1}, 422, "unknown_key", "prompt"),
        (CHAT, {**turns("x"), "temperature": -1}, 422, "bad_value", "temperature"),
        (CHAT, {**turns("x"), "frequency_penalty": 2.5}, 422, "bad_value", "frequency_penalty"),
        (CHAT, {**turns("x"), "logit_bias": {"5": 1}}, 422, "not_served", "logit_bias"),
        (CHAT, turns("too long"), 422, "context_length_exceeded", None),
        (CHAT, {**turns("too long"), "stream": True}, 422, "context_length_exceeded", None),
        (CHAT, turns("broken"), 500, "internal", None),
        ("/adapters", {"adapter": 5}, 422, "bad_value", "adapter"),
        ("/v1/elsewhere", {}, 404, "not_found", None),
    ],
)
def test_what_it_refuses_has_openais_shape(
    server: SocketServer, path: str, body: object, status: int, code: str, param: str | None
) -> None:
    found, content = ask(server, path, body)
    assert (found, content["error"]["code"], content["error"]["param"]) == (status, code, param)
    assert content["error"]["type"] == ("server_error" if status == 500 else "invalid_request_error")
    assert len(content["error"]["message"]) < 1000


@pytest.mark.parametrize("n", [1, 3])
def test_what_breaks_off_in_the_middle_says_so_and_ends(server: SocketServer, n: int) -> None:
    *chunks, fault, done = events(Client(server).ask("POST", CHAT, {**turns(f"Hi{BREAKS}"), "stream": True, "n": n}))
    assert done == "[DONE]"
    assert "choices" in json.loads(chunks[0])
    assert json.loads(fault)["error"] | {"message": ""} == {
        "message": "", "type": "server_error", "param": None, "code": "model_gone",
    }  # fmt: skip
    assert ask(server, CHAT, turns(f"Hi{BREAKS}"))[0] == 503


def test_a_full_queue_says_when_to_ask_again(server: SocketServer) -> None:
    response = Client(server).ask("POST", CHAT, turns("too many"))
    assert (response.status, response.getheader("Retry-After")) == (429, "3")
    assert json.loads(response.read())["error"]["type"] == "rate_limit_error"


def test_a_body_that_is_too_large_is_refused_unread(server: SocketServer) -> None:
    client = Client(server)
    client.putrequest("POST", CHAT)
    client.putheader("Content-Length", str(1 << 40))
    client.endheaders()
    response = client.getresponse()
    assert (response.status, json.loads(response.read())["error"]["param"]) == (422, "Content-Length")


def test_a_client_that_hangs_up_ends_the_computation(server: SocketServer, engine: Echo) -> None:
    client = Client(server)
    response = client.ask("POST", CHAT, {**turns(FOR_EVER), "stream": True})
    assert response.read(10)
    response.close()
    client.close()
    assert engine.said[0].closed.wait(WAIT)
    assert ask(server, CHAT, turns("next"))[1]["choices"][0]["message"]["content"] == "next"


def test_so_does_one_that_waits_for_whole_answers(server: SocketServer, engine: Echo) -> None:
    client = Client(server)
    client.request("POST", CHAT, json.dumps({**turns(FOR_EVER), "n": 3}))
    assert engine.begun.wait(WAIT)
    assert all(said.started.wait(WAIT) for said in engine.said)
    client.close()
    assert all(said.closed.wait(WAIT) for said in engine.said)


def test_a_client_that_reads_slowly_holds_nobody_up(server: SocketServer, engine: Echo) -> None:
    slow = Client(server)
    slow.request("POST", CHAT, json.dumps({**turns(FOR_EVER), "stream": True}))
    said: dict[int, str] = {}

    def one(number: int) -> None:
        said[number] = ask(server, CHAT, turns(f"number {number}"))[1]["choices"][0]["message"]["content"]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert said == {number: f"number {number}" for number in range(8)}
    slow.close()
    assert engine.said[0].closed.wait(WAIT)
