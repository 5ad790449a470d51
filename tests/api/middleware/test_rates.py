from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tunesmith.api.app import create_app
from tunesmith.api.middleware.rates import REMEMBERED, Rates
from tunesmith.service.context import Service
from tunesmith.spec.errors import TooManyRequests


class Clock:
    """A clock that stands still until it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_requests_come_back_with_time() -> None:
    clock = Clock()
    rates = Rates(60, clock)
    for _ in range(60):
        rates.count("a")
    with pytest.raises(TooManyRequests) as refused:
        rates.count("a")
    assert refused.value.wait == 1
    rates.count("b")
    clock.now = 2.0
    rates.count("a")
    rates.count("a")
    with pytest.raises(TooManyRequests):
        rates.count("a")


def test_only_so_many_callers_are_remembered() -> None:
    rates = Rates(60, Clock())
    for number in range(REMEMBERED + 10):
        rates.count(str(number))
    assert len(rates.buckets) == REMEMBERED


def test_the_answer_says_when_to_come_back_and_whoever_watches_is_not_counted(service: Service) -> None:
    service.settings = service.settings.model_copy(update={"rate_limit": 2})
    with TestClient(create_app(service), base_url="http://localhost:8000") as client:
        assert [client.get("/api/jobs").status_code for _ in range(3)] == [200, 200, 429]
        answer = client.get("/v1/nothing")
        assert answer.status_code == 429 and int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["error"]["type"] == "rate_limit_error"
        assert client.get("/healthz").status_code == 200


def test_the_commands_of_this_home_are_not_counted(service: Service) -> None:
    service.settings = service.settings.model_copy(update={"rate_limit": 2})
    token = {"Authorization": "Bearer the token"}
    with TestClient(create_app(service, "the token"), base_url="http://localhost:8000") as client:
        assert {client.get("/api/jobs", headers=token).status_code for _ in range(9)} == {200}
        assert [client.get("/api/jobs").status_code for _ in range(3)] == [200, 200, 429]
        assert client.get("/api/jobs", headers=token).status_code == 200
