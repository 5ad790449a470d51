from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from tunesmith.api.model_server.model import ServedModel

ASKED = {"prompt": "Hello", "temperature": 0, "max_tokens": 8}


def events(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def test_an_answer_and_what_it_took(client: TestClient, model: ServedModel) -> None:
    answer = client.post("/generate", json=ASKED)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["usage"]["completion_tokens"] == 8
    assert (told["finish_reason"], told["model"]) == ("length", model.target.name)


def test_the_adapter_answers(client: TestClient) -> None:
    """The same question to the base has another answer."""
    body = {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0, "max_tokens": 8}
    base = client.post("/v1/chat/completions", json={"model": "base", **body}).json()
    tuned = client.post("/generate", json=ASKED).json()
    assert tuned["text"] != base["choices"][0]["message"]["content"]


def test_pieces_are_the_whole(client: TestClient) -> None:
    whole = client.post("/generate", json=ASKED).json()
    answer = client.post("/generate/stream", json=ASKED)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *pieces, last = events(answer.text)
    assert "".join(piece["token"] for piece in pieces) == last["text"] == whole["text"]
    assert not any(piece["finished"] for piece in pieces)
    assert last == whole | {"finished": True}


def test_who_asks_says_whether_it_streams_else_who_started_the_server(
    client: TestClient, streaming: TestClient
) -> None:
    for http, fields, streams in (
        (client, {"stream": True}, True),
        (client, {}, False),
        (streaming, {}, True),
        (streaming, {"stream": False}, False),
    ):
        answer = http.post("/generate", json=ASKED | fields)
        assert answer.headers["content-type"].startswith("text/event-stream") is streams


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        ("/generate", {"prompt": ""}, "prompt"),
        ("/generate", {"temperature": -1}, "temperature"),
        ("/generate", {"tempature": 1}, "Did you mean 'temperature'"),
        ("/generate", {"prompt": "x" * 600}, "the model sees 512"),
        ("/generate/stream", {"prompt": "x" * 600}, "the model sees 512"),
        ("/generate/stream", {"stream": False}, "contradict"),
        ("/generate", {"mode": "video"}, "mode"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(
    client: TestClient, path: str, fields: dict[str, Any], said: str
) -> None:
    answer = client.post(path, json=ASKED | fields)
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["detail"]


def test_a_stop_sequence_ends_the_answer(client: TestClient) -> None:
    text = client.post("/generate", json=ASKED).json()["text"]
    answer = client.post("/generate", json=ASKED | {"stop_sequences": [*"abcdefgh", "\0", text[1:3]]}).json()
    assert len(answer["text"]) < len(text)
    assert answer["finish_reason"] == "stop"


def test_a_body_above_ten_mebibytes_is_not_read(client: TestClient) -> None:
    answer = client.post("/generate", json={"prompt": "x" * (10 * 2**20)})
    assert answer.status_code == 413
    assert "10,485,760 bytes. Send less." in answer.json()["detail"]


def test_a_body_that_is_no_json_is_one_sentence(client: TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    assert client.post("/generate", content=b"\xff\xfe", headers=headers).status_code in (400, 422)
    assert client.post("/generate", content=b"prompt=x", headers={"Content-Type": "text/plain"}).status_code == 415
