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
