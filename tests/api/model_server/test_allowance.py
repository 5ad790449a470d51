from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tunesmith.api.model_server.allowance import REMEMBERED, SECONDS, Window
from tunesmith.api.model_server.app import create_app
from tunesmith.api.model_server.model import ServedModel
from tunesmith.settings import Settings
from tunesmith.spec.errors import TooManyRequests

HERE = "http://localhost:8000"
SOCKET = "ws://localhost:8000/ws"


class Clock:
    """A clock that stands still until it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def limited(model: ServedModel, settings: Settings) -> Iterator[TestClient]:
    """A server that lets two requests a minute through."""
    with TestClient(create_app(model, settings.model_copy(update={"rate_limit": 2})), base_url=HERE) as http:
        yield http


def test_no_minute_has_more_requests_than_the_limit() -> None:
    clock = Clock()
    window = Window(3, clock)
    for clock.now in (0.0, 10.0, 20.0):
        window.take("a")
    with pytest.raises(TooManyRequests) as refused:
        window.take("a")
    assert refused.value.wait == SECONDS - 20.0
    window.take("b")
    clock.now = SECONDS
    window.take("a")
    assert window.left("a") == 0
    assert window.reset("a") == 10.0


def test_only_so_many_callers_are_remembered() -> None:
    window = Window(60, Clock())
    for number in range(REMEMBERED + 10):
        window.take(str(number))
    assert len(window.seen) == REMEMBERED


def test_every_answer_tells_what_is_left(limited: TestClient) -> None:
    answers = [limited.get("/info") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["X-RateLimit-Limit"] for answer in answers] == ["2"] * 3
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert all(0 < int(answer.headers["X-RateLimit-Reset"]) <= 60 for answer in answers)
    assert int(answers[2].headers["Retry-After"]) >= 1
    assert answers[2].headers["X-Content-Type-Options"] == "nosniff"
    assert limited.post("/v1/completions", json={}).json()["error"]["type"] == "rate_limit_error"


def test_a_look_at_whether_all_is_well_is_not_counted(limited: TestClient) -> None:
    assert {limited.get("/health").status_code for _ in range(5)} == {200}
    assert limited.get("/info").headers["X-RateLimit-Remaining"] == "1"


def test_each_message_of_a_websocket_counts(limited: TestClient) -> None:
    with limited.websocket_connect(SOCKET) as socket:
        for expected in ("text", "code"):
            socket.send_json({"prompt": "Hello", "max_tokens": 2})
            answer = socket.receive_json()
            assert expected in answer
    assert answer["code"] == "too_many_requests"


def test_without_a_limit_nothing_is_counted(client: TestClient) -> None:
    assert "X-RateLimit-Limit" not in client.get("/info").headers
