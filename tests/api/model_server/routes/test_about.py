from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from tunesmith.api.model_server.model import ServedModel
from tunesmith.api.model_server.modes import MODES


def test_the_page_is_shown_and_may_only_ask_this_server(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200 and "<title>" in answer.text
    assert "sha256-" in answer.headers["Content-Security-Policy"]


def test_whether_the_model_is_there(client: TestClient) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["status"], answer.json()["model_loaded"]) == (200, "healthy", True)


def test_which_model_it_is(client: TestClient, streaming: TestClient, model: ServedModel, adapter: Path) -> None:
    told = client.get("/info").json()
    assert told["model_id"] == model.target.name
    assert (told["model_type"], told["model_family"]) == ("llama", "Llama")
    assert (told["lora_loaded"], told["lora_path"]) == (True, str(adapter))
    assert (told["device"], told["dtype"], told["stream_mode"]) == ("cpu", "fp32", False)
    assert told["capabilities"]["supported_modes"] == list(MODES)
    assert streaming.get("/info").json()["stream_mode"] is True


def test_the_routes_are_listed(client: TestClient) -> None:
    assert client.get("/docs").status_code == 200
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/", "/health", "/info", "/generate", "/generate/stream", "/upload", "/v1/chat/completions"} <= set(paths)


def test_foreign_names_are_not_answered_to(client: TestClient) -> None:
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 421
    answer = client.post("/generate", json={"prompt": "Hello"}, headers={"Origin": "http://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")


def test_a_name_that_a_route_does_not_have_is_refused_but_where_people_and_probes_look(client: TestClient) -> None:
    assert [client.get(path).status_code for path in ("/health?probe=1", "/?theme=dark")] == [200, 200]
    refused = client.get("/info?lora=1")
    assert (refused.status_code, "lora: there is no such parameter" in refused.text) == (422, True)
