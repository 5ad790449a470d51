from __future__ import annotations

import logging

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient


def test_a_fault_of_ours_is_one_sentence_and_the_log_has_the_rest(
    app: FastAPI, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/v1/broken")
    def _broken() -> None:
        raise RuntimeError("secret detail")

    with caplog.at_level(logging.ERROR, logger="tunesmith.api"):
        answer = client.get("/v1/broken")
    assert answer.status_code == 500
    message = answer.json()["error"]["message"]
    assert "secret detail" not in answer.text and "Traceback" not in answer.text
    id = next(word for word in message.split() if word.startswith("error-")).rstrip(";.")
    assert id in caplog.text and "secret detail" in caplog.text


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/v1/nothing", lambda body: body["error"]["message"]),
        ("/api/v1/nothing", lambda body: body["detail"]),
        ("/api/training/nothing", lambda body: body["message"]),
        ("/api/nothing", lambda body: body["error"]["message"]),
        ("/nothing", lambda body: body["detail"]),
    ],
)
def test_each_way_in_says_errors_in_its_own_shape(client: TestClient, path: str, sentence: object) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert callable(sentence) and path in sentence(answer.json())
