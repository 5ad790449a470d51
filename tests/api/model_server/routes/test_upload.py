from __future__ import annotations

import pytest
from starlette.testclient import TestClient


def test_the_text_of_a_file_comes_back(client: TestClient) -> None:
    answer = client.post("/upload", files={"file": ("a note.txt", "\ufeffGrüße".encode(), "text/plain")})
    assert answer.json() == {"filename": "a note.txt", "size": 10, "content_type": "text/plain", "text": "Grüße"}


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\xff", b"a\0b"])
def test_what_is_no_text_is_refused_in_one_sentence(client: TestClient, content: bytes) -> None:
    answer = client.post("/upload", files={"file": ("../cat.png", content, "image/png")})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("file: 'cat.png' is not a file of UTF-8 text")


def test_a_file_above_ten_mebibytes_is_not_taken(client: TestClient) -> None:
    assert client.post("/upload", files={"file": ("a.txt", b"x" * 10 * 2**20, "text/plain")}).status_code == 413


def test_a_form_without_a_file_is_one_sentence(client: TestClient) -> None:
    answer = client.post("/upload", files={"other": ("a.txt", b"x", "text/plain")})
    assert answer.status_code == 422 and answer.json()["detail"].startswith("file: this field is missing")
