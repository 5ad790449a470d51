"""A database that goes away and a disk that is full: one sentence in the shape of each way in, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from starlette.testclient import TestClient

from small_disk import small_disk
from tunesmith.api.app import create_app
from tunesmith.service.context import open_service
from tunesmith.settings import Settings

HERE = "http://localhost:8000"
SENTENCES = {
    "/api/jobs": lambda body: body["error"]["message"],
    "/jobs": lambda body: body["detail"],
    "/api/training/tasks": lambda body: body["message"],
    "/api/llm-finetuning/tasks": lambda body: body["message"],
    "/api/system/tasks": lambda body: body["message"],
    "/api/v1/training/jobs/acme": lambda body: body["detail"],
    "/v1/fine_tuning/jobs": lambda body: body["error"]["message"],
}
"""Where each way in has an error's sentence."""


def test_a_database_that_goes_away_is_told_so_in_each_shape(postgres: str, home: Path) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE goes_away")
        service = open_service(Settings(home=home, database_url=postgres.rpartition("/")[0] + "/goes_away"))
        with TestClient(create_app(service), base_url=HERE) as http:
            assert http.get("/readyz").json()["database"] == "ok"
            connection.execute("DROP DATABASE goes_away WITH (FORCE)")
            for path, sentence in SENTENCES.items():
                answer = http.get(path)
                assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0, f"{path}: {answer.text}"
                assert "the database cannot be used" in sentence(answer.json()), path
            ready = http.get("/readyz")
            assert ready.status_code == 503 and not ready.json()["ready"]
            assert http.get("/healthz").status_code == 200
        service.close()


@pytest.fixture
def full(tmp_path: Path) -> Iterator[tuple[TestClient, Path]]:
    """A server whose home has a disk of its own, of a few megabytes."""
    with small_disk(tmp_path / "disk", megabytes=8) as disk:
        service = open_service(Settings(home=disk / "home", rate_limit=0))
        with TestClient(create_app(service), base_url=HERE) as http:
            yield http, disk
        service.close()


def _fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return filler


def test_a_full_disk_is_one_sentence_and_loses_nothing(full: tuple[TestClient, Path], tmp_path: Path) -> None:
    http, disk = full
    data = tmp_path / "rows.jsonl"
    data.write_text('{"text": "Hello"}\n')
    job: dict[str, Any] = {
        "spec": {"model": {"source": "someone/some-model"}, "datasets": [{"uri": str(data)}]}
    }  # fmt: skip
    job["spec"]["output"] = {"dir": str(tmp_path / "out")}
    tus = {"Tus-Resumable": "1.0.0"}
    kept = http.post("/v1/files", files={"file": ("a.jsonl", b'{"text": "a"}\n')}, data={"purpose": "fine-tune"}).json()
    first = http.post("/api/jobs", json=job).json()["id"]
    where = http.post("/api/uploads", headers={**tus, "Upload-Length": "3000000"}).headers["Location"]
    piece = {**tus, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    assert http.patch(where, content=b"x" * 1_000_000, headers=piece).status_code == 204
    filler = _fill(disk)
    large = b'{"text": "a"}\n' * 100_000
    answers = [
        http.post("/v1/files", files={"file": ("b.jsonl", large)}, data={"purpose": "fine-tune"}),
        http.post("/api/datasets/upload", files={"file": ("b.jsonl", large)}),
        http.post("/api/uploads", headers={**tus, "Upload-Length": "5000000"}),
        http.patch(where, content=b"x" * 1_000_000, headers={**piece, "Upload-Offset": "1000000"}),
    ]
    for answer in answers:
        assert answer.status_code == 422 and "the disk is full" in answer.text, answer.text
    # Small rows may still fit into the database's own file: either there is a job, or the sentence.
    for _ in range(200):
        answer = http.post("/api/jobs", json=job)
        if answer.status_code != 201:
            break
    assert answer.status_code == 422 and "the disk is full" in answer.json()["error"]["message"], answer.text
    filler.unlink()
    assert http.get(f"/api/jobs/{first}").json()["state"] == "queued"
    assert http.get(f"/v1/files/{kept['id']}/content").content == b'{"text": "a"}\n'
    offset = int(http.head(where, headers=tus).headers["Upload-Offset"])
    assert offset >= 1_000_000
    rest = {**piece, "Upload-Offset": str(offset)}
    assert http.patch(where, content=b"x" * (3_000_000 - offset), headers=rest).status_code == 204
    assert http.post("/api/jobs", json=job).status_code == 201
