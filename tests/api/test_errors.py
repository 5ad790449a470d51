from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tunesmith.api.errors import rendered
from tunesmith.spec.errors import PromptTooLong

SPEC = {"model": {"source": "a/b"}, "datasets": [{"uri": "c"}]}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "spec or work: None is not one of the two"),
        ({"spec": SPEC, "priorty": 1}, "priorty: there is no such field. Did you mean 'priority'?"),
        (
            {"spec": {**SPEC, "recipe": {"epoch": 1}}},
            "spec.recipe.epoch: there is no such field. Did you mean 'epochs'?",
        ),
        ({"spec": {**SPEC, "recipe": {"epochs": -1}}}, "spec.recipe.epochs: it takes a number above 0"),
        ({"spec": {**SPEC, "recipe": {"epochs": "many"}}}, "and not 'many'."),
        ({"spec": {**SPEC, "seed": "x" * 500}}, "..."),
        ([], "The body is not as it should be"),
    ],
)
def test_a_wrong_request_is_told_which_field_and_what_it_takes(client: TestClient, body: Any, sentence: str) -> None:
    answer = client.post("/api/jobs", json=body)
    assert answer.status_code == 422
    message = answer.json()["error"]["message"]
    assert sentence in message and len(message) < 400


CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize(
    ("path", "body", "param", "sentence"),
    [
        ("chat/completions", {**CHAT, "stop": 5}, "stop", "it takes text that is not empty, or a list of texts"),
        ("chat/completions", {**CHAT, "stop": ["a"] * 17}, "stop", "that has at most 16, and not ['a'"),
        (
            "chat/completions",
            {**CHAT, "messages": [{"role": "user", "content": 5}]},
            "messages.0.content",
            "and not 5.",
        ),
        ("chat/completions", {**CHAT, "model": "m" * 5000}, "model", "has at most 4096 characters"),
        ("completions", {"model": "m"}, "prompt", "this field is missing; it takes text, or a list of whole numbers"),
        ("completions", {"model": "m", "prompt": {}}, "prompt", "it takes text, or a list of whole numbers"),
        ("embeddings", {"model": "m", "input": []}, "input", "or a list of entries that is not empty"),
    ],
)
def test_a_field_of_several_types_is_named_as_it_was_sent(
    client: TestClient, path: str, body: Any, param: str, sentence: str
) -> None:
    answer = client.post(f"/v1/{path}", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (422, param)
    assert error["message"].startswith(f"{param}: ") and sentence in error["message"]


@pytest.mark.parametrize("body", [r'{"spec": "\ud800"}', r'{"\ud800": 1}'])
def test_half_a_character_is_repeated_and_breaks_no_answer(client: TestClient, body: str) -> None:
    answer = client.post("/api/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "invalid_request"


def test_a_broken_body_is_told_where(client: TestClient) -> None:
    answer = client.post("/api/jobs", content="{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 422 and "no JSON" in answer.json()["error"]["message"]


def test_a_wrong_method_is_told_the_right_ones(client: TestClient) -> None:
    answer = client.put("/api/jobs", json={})
    assert answer.status_code == 405 and "PUT" in answer.json()["error"]["message"] and answer.headers["Allow"]


@pytest.mark.parametrize(("path", "status"), [("/v1/chat/completions", 400), ("/generate", 422)])
def test_a_prompt_that_is_too_long_is_what_openais_clients_look_for(path: str, status: int) -> None:
    answer = rendered({"type": "http", "path": path}, PromptTooLong(9, 8))
    assert answer.status_code == status
    assert b"context_length_exceeded" in answer.body
