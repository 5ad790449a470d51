"""What people send to have a server do something for them: connect, run a command, load a pickle."""

from __future__ import annotations

import base64
import pickle
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tunesmith.service.context import Service


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket on this machine that nobody should ever connect to."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        yield listening


FORMS = (
    "http://127.0.0.1:{port}/rows.jsonl", "https://127.0.0.1:{port}/x", "http://localhost:{port}/a.zip",
    "http://2130706433:{port}/", "http://0x7f000001:{port}/", "http://0177.0.0.1:{port}/", "http://127.1:{port}/",
    "http://[::1]:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "http://user@127.0.0.1:{port}/",
    "//127.0.0.1:{port}/x",
    "http://169.254.169.254/latest/meta-data", "http://10.0.0.1:{port}/", "ftp://127.0.0.1:{port}/a.jsonl",
    "s3://127.0.0.1:{port}/a.jsonl", "gs://127.0.0.1:{port}/x", "hf://127.0.0.1:{port}/x", "file://127.0.0.1:{port}/x",
    "jdbc:sqlite://127.0.0.1:{port}/", "\\\\127.0.0.1@{port}\\share\\a.jsonl", "smb://127.0.0.1:{port}/x",
    "HTTP://127.0.0.1:{port}/x", " http://127.0.0.1:{port}/x", "http://127.0.0.1:{port}/*.jsonl",
)  # fmt: skip


def _sent(client: TestClient, value: str, tmp_path: Path) -> list[int]:
    """Put a value into every field that names data, a model or an upload; return the statuses."""
    spec: dict[str, Any] = {
        "model": {"source": "somebody/model"},
        "datasets": [{"uri": "somebody/rows"}],
        "output": {"dir": str(tmp_path / "out")},
    }
    encoded = base64.b64encode(value.encode()).decode()
    made = client.post("/api/datasets/upload", files={"file": ("a.jsonl", b'{"text": "a"}\n')}).json()
    answers = [
        client.post("/api/jobs", json={"spec": {**spec, "datasets": [{"uri": value}]}}),
        client.post("/api/jobs", json={"spec": {**spec, "model": {"source": value}}}),
        client.post("/api/jobs", json={"spec": {**spec, "model": {"source": "a/b", "revision": value}}}),
        client.post("/api/jobs", json={"spec": {**spec, "options": {"chat_template": value}}}),
        client.post("/api/datasets", json={"name": "x", "uri": value}),
        client.post(f"/api/datasets/{made['id']}/check", json={"model": value}),
        client.post(f"/api/datasets/{made['id']}/preview", json={"model": value}),
    ]
    for key, wanted in {"filename": 201, "name": 201, "url": 201, "purpose": 422}.items():
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "0", "Upload-Metadata": f"{key} {encoded}"}
        assert client.post("/api/uploads", headers=headers).status_code == wanted
    client.post("/api/datasets/upload", files={"file": (value, b"x")}, data={"name": value})
    return [answer.status_code for answer in answers]


@pytest.mark.parametrize("form", FORMS)
def test_no_address_is_connected_to(client: TestClient, listener: socket.socket, tmp_path: Path, form: str) -> None:
    value = form.format(port=listener.getsockname()[1])
    assert set(_sent(client, value, tmp_path)) == {422}
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize(
    "path",
    ["/api/datasets/{}", "/v1/files/{}", "/api/runs/{}/logs", "/v1/models/{}", "/api/models/{}", "/jobs/{}"],
)
def test_a_zero_byte_is_in_nobodys_name(client: TestClient, path: str) -> None:
    assert client.get(path.format("a%00b")).status_code in (404, 422)


COMMANDS = (
    "$(touch canary)", "`touch canary`", "; touch canary", "| touch canary", "&& touch canary", "\ntouch canary\n",
    "'; touch canary; '", '"; touch canary; "', "--output=canary", "-rf", "-o canary", "${IFS}touch${IFS}canary",
    "$(>canary)",
    "{{7*7}}", "%s%n", "__import__('os').system('touch canary')",
)  # fmt: skip


@pytest.mark.parametrize("value", COMMANDS)
def test_no_name_is_a_command(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert set(_sent(client, value, tmp_path)) == {422}
    spec = {"model": {"source": "somebody/model"}, "datasets": [{"uri": "somebody/rows"}], "name": value}
    assert client.post("/api/jobs", json={"spec": spec}).status_code == 422
    assert not list(tmp_path.rglob("canary"))


class _Harmful:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.canary,)


def test_no_pickle_is_loaded(client: TestClient, service: Service, tiny_model: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    content = pickle.dumps(_Harmful(canary))
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    for file in model.glob("*.safetensors"):
        file.unlink()
    for name in ("pytorch_model.bin", "model.pt", "tokenizer.pkl", "training_args.bin"):
        (model / name).write_bytes(content)
    for name in ("rows.pkl", "rows.jsonl", "rows.parquet", "rows.npy", "rows.bin"):
        made = client.post("/api/datasets/upload", files={"file": (name, content)}).json()
        for what in ("check", "preview"):
            for body in ({}, {"model": str(model)}) if name == "rows.jsonl" else ({},):
                assert client.post(f"/api/datasets/{made['id']}/{what}", json=body).status_code in (200, 422)
    assert not canary.exists()
    pickle.loads(content)  # noqa: S301 - What the canary would look like.
    assert canary.exists()


@pytest.mark.parametrize("where", ["~nobody-of-this-name/rows.jsonl", "~\x0ey7\u00b1R\U0001078f>"])
def test_the_home_of_nobody_is_one_sentence(client: TestClient, where: str) -> None:
    for path, body in (
        ("/api/datasets", {"name": "rows", "uri": where}),
        ("/api/plans", {"spec": {"model": {"source": where}, "datasets": [{"uri": where}]}}),
        ("/train", {"category": "LangText", "model_name": where, "dataset_path": where, "output_dir": where}),
    ):
        answer = client.post(path, json=body)
        assert 400 <= answer.status_code < 500, (path, answer.text)
