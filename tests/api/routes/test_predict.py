"""Files that models are shown: as forms, as base64, by their paths; and what OpenAI's clients ask of such models."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from starlette.testclient import TestClient

from tunesmith.service.context import Service
from tunesmith.service.serving import showing
from tunesmith.service.serving.targets import Target
from tunesmith.spec.errors import UnreadableContent

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CONTENT = b"a picture"
CODED = base64.b64encode(CONTENT).decode()
SAID: dict[str, Any] = {"model": "it", "labels": [{"label": "circle", "score": 0.9}]}
HEARD: dict[str, Any] = {"model": "it", "text": "Please hold."}
Asked = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A folder that looks like a model, which the operator may name."""
    (tmp_path / "shapes").mkdir()
    (tmp_path / "shapes" / "config.json").write_text('{"model_type": "vit"}')
    return str(tmp_path / "shapes")


@pytest.fixture
def asked(service: Service, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What models are asked; each answers as models of its way do."""
    found: Asked = []

    async def ask(target: Target, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        found.append((path, dict(body)))
        if body.get("content") == base64.b64encode(b"broken").decode():
            raise UnreadableContent("it is truncated")
        return {"/predict": SAID, "/v1/audio/transcriptions": HEARD}.get(path, {"images": [CODED, CODED]})

    monkeypatch.setattr(service.serving, "ask", ask)
    return found


def test_a_file_is_shown_as_a_form_as_base64_and_by_its_path(
    client: TestClient, model: str, asked: Asked, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(CONTENT)
    told = {"model": model, "top_k": 3}
    answers = [
        client.post("/api/predict", data=told, files={"file": CONTENT}),
        client.post("/api/predict", json={**told, "content": CODED}),
        client.post("/api/predict", json={**told, "path": str(tmp_path / "a.png")}),
    ]
    assert [answer.json() for answer in answers] == [SAID] * 3, [answer.text for answer in answers]
    assert asked == [("/predict", {"content": CODED, "top_k": 3})] * 3


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"content": "?"}, 422, "base64"),
        ({"content": CODED, "path": "/tmp"}, 422, "path"),
        ({"path": "/nowhere/a.png"}, 404, "/nowhere/a.png"),
        ({"path": "/tmp"}, 404, "/tmp"),
        ({"content": CODED, "topk": 3}, 422, "top_k"),
        ({"content": base64.b64encode(b"broken").decode()}, 422, "truncated"),
        ({"content": CODED, "model": "nothing"}, 404, "nothing"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(
    client: TestClient, model: str, asked: Asked, body: dict[str, Any], status: int, word: str
) -> None:
    answer = client.post("/api/predict", json={"model": model, **body})
    assert answer.status_code == status, answer.text
    assert word in answer.json()["error"]["message"]


def test_a_file_that_is_too_large_or_empty_is_refused(
    client: TestClient, model: str, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(showing, "MOST_BYTES", 8)
    large = client.post("/api/predict", data={"model": model}, files={"file": CONTENT})
    empty = client.post("/api/predict", data={"model": model}, files={"file": b""})
    assert (large.status_code, empty.status_code) == (413, 422), (large.text, empty.text)
    assert not asked


def test_both_forms_of_a_request_are_described(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]["/api/predict"]["post"]
    assert set(described["requestBody"]["content"]) == {"application/json", "multipart/form-data"}


@pytest.fixture
def openai(client: TestClient) -> OpenAI:
    return OpenAI(api_key="none", base_url="http://localhost:8000/v1", http_client=client, max_retries=0)


def test_the_official_client_has_a_recording_written_down(openai: OpenAI, model: str, asked: Asked) -> None:
    made: Callable[..., Any] = openai.audio.transcriptions.create
    file = ("a.wav", CONTENT)
    assert made(file=file, model=model, language="en", temperature=0).text == "Please hold."
    assert made(file=file, model=model, response_format="text") == "Please hold.\n"
    assert asked == [
        ("/v1/audio/transcriptions", {"content": CODED, "language": "en"}),
        ("/v1/audio/transcriptions", {"content": CODED}),
    ]


def test_the_official_client_is_told_when_what_is_said(
    openai: OpenAI, model: str, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = [{"id": 0, "start": 0.0, "end": 1.5, "text": "Please hold.", "tokens": [1]}]
    for name, value in {"segments": segments, "duration": 2.0, "language": "en"}.items():
        monkeypatch.setitem(HEARD, name, value)
    made: Callable[..., Any] = openai.audio.transcriptions.create
    told = made(file=("a.wav", CONTENT), model=model, response_format="verbose_json")
    assert (told.text, told.duration, told.language) == ("Please hold.", 2.0, "en")
    assert [(each.id, each.start, each.end, each.text) for each in told.segments] == [(0, 0.0, 1.5, "Please hold.")]
    shown = made(file=("a.wav", CONTENT), model=model, response_format="vtt")
    assert shown == "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nPlease hold.\n"
    assert [body for _, body in asked] == [{"content": CODED, "times": True}] * 2


def test_subtitles_need_a_model_that_tells_times(
    client: TestClient, model: str, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def post() -> Any:
        told = {"model": model, "response_format": "srt"}
        return client.post("/v1/audio/transcriptions", data=told, files={"file": CONTENT})

    assert "times" in post().json()["error"]["message"]
    monkeypatch.setitem(HEARD, "segments", [{"start": 0, "end": 1, "text": "Please hold."}])
    assert post().text.startswith("1\n00:00:00,000 --> 00:00:01,000\nPlease hold.")


def test_the_official_client_has_pictures_made(openai: OpenAI, model: str, asked: Asked) -> None:
    made = openai.images.generate(model=model, prompt="a teapot", n=2, size="512x512", response_format="b64_json")
    assert [each.b64_json for each in made.data or []] == [CODED, CODED]
    assert asked == [("/v1/images/generations", {"prompt": "a teapot", "n": 2, "width": 512, "height": 512})]


def test_no_address_of_a_picture_is_made(client: TestClient, model: str, asked: Asked) -> None:
    told = {"model": model, "prompt": "a teapot", "response_format": "url"}
    answer = client.post("/v1/images/generations", json=told)
    assert answer.status_code == 400 or answer.status_code == 422
    assert "b64_json" in answer.json()["error"]["message"]
