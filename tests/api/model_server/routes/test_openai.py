from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from tunesmith.api.model_server.model import ServedModel

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0, "max_tokens": 6}


def test_the_model_and_its_base_are_listed(client: TestClient, model: ServedModel) -> None:
    assert [row["id"] for row in client.get("/v1/models").json()["data"]] == [model.target.name, "base"]


def test_a_chat_by_either_name(client: TestClient, model: ServedModel) -> None:
    said = {}
    for name in (model.target.name, "base"):
        answer = client.post("/v1/chat/completions", json={"model": name, **HELLO}).json()
        assert answer["model"] == name
        said[name] = answer["choices"][0]["message"]["content"]
    assert said[model.target.name] != said["base"]


def test_a_stream_ends_as_openai_documents_it(client: TestClient, model: ServedModel) -> None:
    body = {"model": model.target.name, **HELLO, "stream": True}
    *lines, last = [line for line in client.post("/v1/chat/completions", json=body).text.splitlines() if line]
    assert last == "data: [DONE]"
    assert all(json.loads(line.removeprefix("data: "))["object"] == "chat.completion.chunk" for line in lines)


def test_a_text_goes_on(client: TestClient, model: ServedModel) -> None:
    body = {"model": model.target.name, "prompt": "Once", "max_tokens": 3}
    assert client.post("/v1/completions", json=body).json()["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("name", ["gpt-4", "ft:x:y:z", "../model"])
def test_another_model_is_not_here(client: TestClient, name: str) -> None:
    answer = client.post("/v1/chat/completions", json={"model": name, **HELLO})
    assert answer.status_code == 404
    assert name in answer.json()["error"]["message"]
