"""Where other machines can call, a key opens the way to the model, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from tunesmith.api.model_server.app import create_app
from tunesmith.api.model_server.model import ServedModel
from tunesmith.service.accounts import keys
from tunesmith.service.accounts.principal import OPERATOR, Role
from tunesmith.service.context import Service
from tunesmith.settings import Settings

ASKED = {"prompt": "Hello", "max_tokens": 2}


@pytest.fixture
def secret(service: Service) -> str:
    """A key that opens the server."""
    return keys.create(service, OPERATOR, org=None, role=Role.ADMIN)[1]


@pytest.fixture
def wide(model: ServedModel, settings: Settings, service: Service, secret: str) -> Iterator[TestClient]:
    """Somebody on another machine."""
    open_to_all = settings.model_copy(update={"host": "0.0.0.0", "host_names": ["ml.example"]})
    with TestClient(create_app(model, open_to_all, service), base_url="http://ml.example") as http:
        yield http


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/info"),
        ("POST", "/generate"),
        ("POST", "/generate/stream"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("POST", "/upload"),
    ],
)
def test_what_reaches_the_model_needs_a_key(wide: TestClient, method: str, path: str) -> None:
    assert wide.request(method, path, json=ASKED if method == "POST" else None).status_code == 401


def test_a_key_opens_it(wide: TestClient, secret: str) -> None:
    answer = wide.post("/generate", json=ASKED, headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200, answer.text


def test_the_page_comes_without_one(wide: TestClient) -> None:
    assert wide.get("/").status_code == 200
    assert wide.get("/health").status_code == 200


def test_a_websocket_needs_one_too(wide: TestClient, secret: str) -> None:
    with pytest.raises(WebSocketDenialResponse), wide.websocket_connect("ws://ml.example/ws"):
        pass
    bearer = {"Authorization": f"Bearer {secret}"}
    with wide.websocket_connect("ws://ml.example/ws", headers=bearer) as socket:
        socket.send_json(ASKED)
        assert "text" in socket.receive_json()
