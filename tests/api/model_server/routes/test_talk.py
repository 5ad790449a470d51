from __future__ import annotations

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from fleet import until
from tunesmith.api.model_server.model import ServedModel

SOCKET = "ws://localhost:8000/ws"
ASKED = {"prompt": "Hello", "temperature": 0, "max_tokens": 6}


def test_one_request_after_another(client: TestClient) -> None:
    whole = client.post("/generate", json=ASKED).json()
    with client.websocket_connect(SOCKET) as socket:
        socket.send_json(ASKED)
        socket.send_json(ASKED | {"max_tokens": 2})
        assert socket.receive_json() == whole
        assert socket.receive_json()["usage"]["completion_tokens"] == 2


def test_piece_by_piece(client: TestClient) -> None:
    with client.websocket_connect(SOCKET) as socket:
        socket.send_json(ASKED | {"stream": True})
        said = []
        while not (piece := socket.receive_json())["finished"]:
            said.append(piece["token"])
    assert "".join(said) == piece["text"] == client.post("/generate", json=ASKED).json()["text"]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("no JSON", "message"),
        ("[1]", "message"),
        ("[" * 100_000, "message"),
        (r'{"prompt": "\ud800"}', "half a character"),
        (r'{"mode": "\ud800", "prompt": "x"}', "mode"),
        ('{"prompt": ""}', "prompt"),
        ('{"promt": "x"}', "promt"),
        ('{"prompt": "x", "temperature": 9}', "temperature"),
        ('{"prompt": "' + "x" * 600 + '"}', "the model sees 512"),
    ],
)
def test_what_is_refused_is_one_sentence_and_the_next_is_answered(client: TestClient, sent: str, said: str) -> None:
    with client.websocket_connect(SOCKET) as socket:
        socket.send_text(sent)
        refused = socket.receive_json()
        assert refused["finished"] and said in refused["detail"]
        socket.send_json(ASKED)
        assert "text" in socket.receive_json()


def test_bytes_are_refused_and_the_next_is_answered(client: TestClient) -> None:
    with client.websocket_connect(SOCKET) as socket:
        socket.send_bytes(b'{"prompt": "Hello"}')
        assert "message" in socket.receive_json()["detail"]
        socket.send_json(ASKED)
        assert "text" in socket.receive_json()


def test_hanging_up_ends_the_answer(client: TestClient, model: ServedModel) -> None:
    with client.websocket_connect(SOCKET) as socket:
        socket.send_json({"prompt": "Hello", "temperature": 2, "seed": 1, "max_tokens": 400, "stream": True})
        socket.receive_json()
    until(lambda: not any(one.running for one in model.pool.loaded()), "nothing is being answered", 2.0)


def test_pages_of_another_origin_may_not_talk(client: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(SOCKET, headers={"Origin": "http://evil.example"}),
    ):
        pass
