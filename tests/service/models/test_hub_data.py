"""Data sets of a hub: from its cache without the network, and downloaded from one that stands on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

import pytest
from huggingface_hub import constants

from tunesmith.service.models import hub_data
from tunesmith.spec.errors import DataNotFound, UnreadableData

COMMIT = "0123456789abcdef0123456789abcdef01234567"
README = """---
configs:
- config_name: plain_text
  data_files:
  - {split: train, path: plain_text/train-*}
  - {split: validation, path: plain_text/validation-*}
---
"""
SQUAD = {
    "README.md": README,
    "plain_text/train-00000-of-00001.jsonl": '{"question": "a", "answer": "b"}\n',
    "plain_text/validation-00000-of-00001.jsonl": '{"question": "c", "answer": "d"}\n',
    "pictures/cat.png": "x",
    "squad.py": "raise SystemExit",
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    return tmp_path / "hub"


def snapshot(cache: Path, repository: str, files: dict[str, str]) -> Path:
    folder = cache / f"datasets--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    for name, content in files.items():
        path = folder / "snapshots" / COMMIT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder / "snapshots" / COMMIT


@pytest.mark.parametrize("name", ["squad", "rajpurkar/squad"])
@pytest.mark.parametrize("choice", [[], ["train"], ["val"], ["plain_text"], ["plain_text", "validation"]])
def test_finds_a_part_of_a_cached_data_set_without_the_network(cache: Path, name: str, choice: list[str]) -> None:
    folder = snapshot(cache, "rajpurkar/squad", SQUAD)
    assert hub_data.fetch(name, choice, offline=True) == folder


def test_a_part_that_is_not_cached_is_not_there(cache: Path) -> None:
    folder = snapshot(cache, "rajpurkar/squad", {"README.md": README, "plain_text/train-00000-of-00002.jsonl": ""})
    for choice in (["train"], ["validation"], ["test"], ["other"]):
        with pytest.raises(DataNotFound, match=r"No file is called so, the hub's cache .* lacks it, and --offline"):
            hub_data.fetch("rajpurkar/squad", choice, offline=True)
    (folder / "plain_text" / "train-00001-of-00002.jsonl").touch()
    assert hub_data.fetch("rajpurkar/squad", ["train"], offline=True) == folder


class Hub(BaseHTTPRequestHandler):
    """As much of a hub as a download asks for."""

    repositories: ClassVar[dict[str, dict[str, str]]] = {
        "rajpurkar/squad": SQUAD,
        "acme/script": {"load.py": "raise SystemExit", "README.md": ""},
        "acme/plain": {"rows.jsonl": '{"text": "a"}\n', "card.png": ""},
    }
    names: ClassVar[dict[str, str]] = {"squad": "rajpurkar/squad"}
    sent: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = unquote(self.path.partition("?")[0]).strip("/")
        if not path:
            return self.send(b"", {})
        if path.startswith("api/datasets/"):
            return self.describe(path.removeprefix("api/datasets/"))
        name, _, file = path.removeprefix("datasets/").partition("/resolve/")
        file = file.partition("/")[2]
        content = self.repositories.get(name, {}).get(file)
        if content is None:
            return self.send(b"", {"X-Error-Code": "EntryNotFound"}, 404)
        if self.command == "GET":
            self.sent.append(file)
        return self.send(content.encode(), {"X-Repo-Commit": COMMIT, "ETag": f'"{abs(hash(content)):040x}"'[:42]})

    def describe(self, path: str) -> None:
        name, _, rest = path.partition("/tree/")
        name = name.partition("/revision/")[0]
        name = self.names.get(name, name)
        files = self.repositories.get(name)
        if files is None:
            return self.send(b"{}", {"X-Error-Code": "RepoNotFound"}, 404)
        if rest:
            listed = [{"type": "file", "path": path, "size": len(text), "oid": "0"} for path, text in files.items()]
            return self.send(json.dumps(listed).encode(), {})
        siblings = [{"rfilename": path} for path in files]
        return self.send(json.dumps({"id": name, "sha": COMMIT, "siblings": siblings, "tags": []}).encode(), {})

    def send(self, body: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    Hub.sent.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        pages = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", pages)
        yield cache
        server.shutdown()


@pytest.mark.usefixtures("served")
def test_downloads_the_rows_of_a_configuration_and_nothing_else() -> None:
    folder = hub_data.fetch("squad", ["train"], offline=False)
    train = "plain_text/train-00000-of-00001.jsonl"
    assert (folder / train).read_text() == SQUAD[train]
    assert {name for name in SQUAD if (folder / name).exists()} == {
        "README.md",
        "plain_text/train-00000-of-00001.jsonl",
        "plain_text/validation-00000-of-00001.jsonl",
    }
    before = list(Hub.sent)
    assert hub_data.fetch("squad", ["validation"], offline=False) == folder
    assert Hub.sent == before


@pytest.mark.usefixtures("served")
def test_a_data_set_without_splits_is_taken_whole() -> None:
    folder = hub_data.fetch("acme/plain", [], offline=False)
    assert sorted(path.name for path in folder.iterdir()) == ["rows.jsonl"]


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("name", "choice", "error", "why"),
    [
        ("squad", ["test"], DataNotFound, "There is squad:train, squad:validation"),
        ("acme/plain", ["test"], DataNotFound, "It has no splits"),
        ("acme/nothing", [], DataNotFound, "the hub shows no such data set"),
        ("acme/script", [], UnreadableData, r"program of its own \(load.py\), which is not run"),
    ],
)
def test_says_why_there_is_no_such_data(name: str, choice: list[str], error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        hub_data.fetch(name, choice, offline=False)


def test_a_hub_that_does_not_answer_is_one_sentence(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataNotFound, match=r"the hub cannot be asked: http://127\.0\.0\.1:9 does not answer"):
        hub_data.fetch("acme/plain", [], offline=False)
