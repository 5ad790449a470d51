"""Chat completions over a Unix socket, from an engine that says the last turn again."""

from __future__ import annotations

import itertools
import json
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tunesmith.modalities.text.predictor import Answer
from tunesmith.service.serving.client import Connection
from tunesmith.spec.errors import PromptTooLong, Relayed
from tunesmith.worker.chat_server import ChatServer
from tunesmith.worker.completions import Request

WAIT = 20.0
"""Seconds after which something that should happen at once has failed."""


class Letters:
    """One token is one letter."""

    stop_ids = frozenset({0})

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    def prompt(self, messages: object) -> list[int]:
        raise NotImplementedError


class Echo:
    """Says the last turn again; "for ever" goes on until it is stopped."""

    name = "echo"

    def __init__(self) -> None:
        self.started = threading.Event()
        self.stopped = threading.Event()

    def answer(self, request: Request) -> Answer:
        text = request.prompt if isinstance(request.prompt, str) else request.prompt[-1].content
        if text == "too long":
            raise PromptTooLong(9, 8)
        return Answer(self._tokens(text), Letters(), limit=request.sampling.max_tokens, prompt_tokens=4)

    def _tokens(self, text: str) -> Iterator[int]:
        try:
            for letter in itertools.cycle("ever ") if text == "for ever" else text:
                self.started.set()
                yield ord(letter)
            yield 0
        finally:
            self.stopped.set()


@pytest.fixture
def engine() -> Echo:
    return Echo()


@pytest.fixture
def server(engine: Echo) -> Iterator[ChatServer]:
    with tempfile.TemporaryDirectory(prefix="t-") as folder, ChatServer(Path(folder) / "chat.sock", engine) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def connect(server: ChatServer) -> Connection:
    return Connection(Path(str(server.server_address)))


def post(server: ChatServer, path: str, body: object) -> tuple[int, dict[str, Any]]:
    connection = connect(server)
    connection.request("POST", path, body if isinstance(body, bytes) else json.dumps(body))
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def turns(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def test_answers_whole(server: ChatServer) -> None:
    status, body = post(server, "/v1/chat/completions", turns("Grüß Gott"))
    assert status == 200
    assert body["choices"][0]["message"]["content"] == "Grüß Gott"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"] == {"prompt_tokens": 4, "completion_tokens": 10, "total_tokens": 14}


def test_answers_piece_by_piece(server: ChatServer) -> None:
    reply = connect(server).stream(turns("Hello"))
    assert list(reply) == list("Hello")
    assert (reply.text, reply.finish_reason, reply.usage["completion_tokens"]) == ("Hello", "stop", 6)


def test_a_stream_is_what_openai_sends(server: ChatServer) -> None:
    connection = connect(server)
    connection.request("POST", "/v1/chat/completions", json.dumps({**turns("Hi"), "stream": True}))
    response = connection.getresponse()
    assert response.getheader("Content-Type") == "text/event-stream; charset=utf-8"
    events = response.read().decode().split("\n\n")
    assert all(event.startswith("data: ") for event in events[:-1])
    assert events[-2:] == ["data: [DONE]", ""]


def test_completes_text(server: ChatServer) -> None:
    status, body = post(server, "/v1/completions", {"prompt": "Once", "max_tokens": 2})
    assert (status, body["choices"][0]["text"], body["choices"][0]["finish_reason"]) == (200, "On", "length")


def test_says_that_it_is_well(server: ChatServer) -> None:
    connection = connect(server)
    connection.request("GET", "/healthz")
    assert json.loads(connection.getresponse().read()) == {"status": "ok", "model": "echo"}


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/chat/completions", b"{", 422, "bad_value"),
        ("/v1/chat/completions", b"[]", 422, "bad_value"),
        ("/v1/chat/completions", {"messages": []}, 422, "bad_value"),
        ("/v1/chat/completions", {"prompt": "x", "tempo": 1}, 422, "unknown_key"),
        ("/v1/chat/completions", turns("too long"), 422, "prompt_too_long"),
        ("/v1/elsewhere", {}, 404, "not_found"),
    ],
)
def test_what_it_refuses_has_openais_shape(server: ChatServer, path: str, body: object, status: int, code: str) -> None:
    found, content = post(server, path, body)
    assert (found, content["error"]["code"]) == (status, code)
    assert content["error"]["message"]


def test_a_refused_stream_carries_the_servers_sentence(server: ChatServer) -> None:
    with pytest.raises(Relayed, match="sees 8") as raised:
        list(connect(server).stream(turns("too long")))
    assert (raised.value.code, raised.value.exit_code) == ("prompt_too_long", 2)


def test_a_client_that_hangs_up_ends_the_computation(server: ChatServer, engine: Echo) -> None:
    reply = connect(server).stream({**turns("for ever"), "max_tokens": 1_000_000})
    assert next(reply) == "e"
    reply.close()
    assert engine.stopped.wait(WAIT)
    assert list(connect(server).stream(turns("next"))) == list("next")


def test_so_does_one_that_waits_for_a_whole_answer(server: ChatServer, engine: Echo) -> None:
    connection = connect(server)
    connection.request("POST", "/v1/chat/completions", json.dumps({**turns("for ever"), "max_tokens": 1_000_000}))
    assert engine.started.wait(WAIT)
    connection.close()
    assert engine.stopped.wait(WAIT)


def test_one_answer_at_a_time_and_none_is_lost(server: ChatServer) -> None:
    said: dict[int, str] = {}

    def ask(number: int) -> None:
        said[number] = "".join(connect(server).stream(turns(f"number {number}")))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert said == {number: f"number {number}" for number in range(8)}
