"""The hub's cache on this machine, read without the network."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

from tunesmith.service.models import hub
from tunesmith.spec.errors import NotALanguageModel, Offline, PullFailed

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    return tmp_path / "hub"


def snapshot(cache: Path, *files: str) -> Path:
    model = cache / "models--acme--tiny"
    folder = model / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT)
    for name in files:
        (folder / name).write_text("{}")
    return folder


def test_finds_a_cached_model_by_branch_and_by_commit(cache: Path) -> None:
    folder = snapshot(cache, "config.json", "model.safetensors")
    assert hub.cached("acme/tiny") == folder
    assert hub.cached("acme/tiny", COMMIT) == folder
    assert hub.cached("acme/tiny", "other-branch") is None
    assert hub.cached("acme/else") is None


def test_a_half_downloaded_model_is_not_there(cache: Path) -> None:
    folder = snapshot(cache, "config.json", "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert hub.cached("acme/tiny") is None
    (folder / "model-00002-of-00002.safetensors").write_text("")
    assert hub.cached("acme/tiny") == folder


def test_offline_gives_what_is_cached_and_refuses_the_rest(cache: Path) -> None:
    folder = snapshot(cache, "config.json", "model.safetensors")
    assert hub.fetch("acme/tiny", offline=True) == folder
    with pytest.raises(Offline, match="acme/else"):
        hub.fetch("acme/else", offline=True)


def test_an_unreachable_hub_costs_two_seconds_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        started = time.monotonic()
        for _ in range(20):
            with pytest.raises(PullFailed, match="does not answer"):
                hub.fetch("acme/tiny", offline=False)
    assert time.monotonic() - started < hub.PROBE_SECONDS + 1


def test_a_model_of_pickled_weights_alone_is_refused() -> None:
    with pytest.raises(NotALanguageModel, match="only safetensors"):
        hub.refuse_pickles("acme/tiny", ["config.json", "pytorch_model.bin", "onnx/model.safetensors"])
    hub.refuse_pickles("acme/tiny", ["config.json", "pytorch_model.bin", "model.safetensors"])


@pytest.mark.parametrize("source", ["../evil", "a/b/c", "/abs/path", "plain", "a/..", ""])
def test_knows_what_is_no_hub_id(source: str) -> None:
    assert not hub.is_hub_id(source)
