"""The hub's cache on this machine, read without the network."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from tunesmith.service.models import hub
from tunesmith.spec.errors import DiskFull, ModelNotFound, NotALanguageModel, Offline, PullFailed

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
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        started = time.monotonic()
        for _ in range(20):
            with pytest.raises(PullFailed, match="does not answer"):
                hub.fetch("acme/tiny", offline=False)
    assert time.monotonic() - started < hub.PROBE_SECONDS + 1


class Hub(BaseHTTPRequestHandler):
    """Lists the files of one model and hangs up on every other question."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        if "/api/models/acme/tiny/tree/" not in self.path:
            self.close_connection = True
            return
        files = {"config.json": 1_000, "model.safetensors": 7_000_000, "onnx/model.onnx": 9_000_000}
        rows = [{"type": "file", "path": path, "size": size, "oid": "0"} for path, size in files.items()]
        body = json.dumps(rows).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
        yield cache
        server.shutdown()


@pytest.mark.usefixtures("served")
def test_a_connection_that_breaks_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)  # The hub's client waits longer after each of its tries.
    with pytest.raises(PullFailed, match=r"acme/else: could not be pulled: the download broke off \(RemoteProtocol"):
        hub.fetch("acme/else", offline=False)


@pytest.mark.usefixtures("served")
def test_a_name_that_the_hub_cannot_have_is_one_sentence() -> None:
    with pytest.raises(ModelNotFound, match="acme/ti--ny"):
        hub.fetch("acme/ti--ny", offline=False)


@pytest.mark.usefixtures("served")
def test_a_full_disk_is_named_with_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object, **__: object) -> str:
        raise RuntimeError("download failed") from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", no_room)
    with pytest.raises(DiskFull, match="7 MB are needed"):
        hub.fetch("acme/tiny", offline=False)


def test_of_pickled_weights_only_a_models_own_are_fetched() -> None:
    hub.refuse_pickles("acme/tiny", ["config.json", "pytorch_model.bin", "onnx/model.safetensors"])
    hub.refuse_pickles("acme/tiny", ["config.json", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin"])
    with pytest.raises(NotALanguageModel, match=r"pickled.*save_pretrained"):
        hub.refuse_pickles("acme/tiny", ["config.json", "weights.pth", "onnx/model.safetensors"])


def test_pickled_weights_are_fetched_where_there_are_no_others() -> None:
    names = ["config.json", "pytorch_model.bin", "tf_model.h5", "vocab.json", "onnx/model.safetensors"]
    assert hub.wanted_of(names) == ["config.json", "pytorch_model.bin", "vocab.json"]
    assert hub.wanted_of([*names, "model.safetensors"]) == ["config.json", "vocab.json", "model.safetensors"]
    shards = ["pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin"]
    assert hub.wanted_of(["config.json", *shards]) == ["config.json", *shards]
    assert hub.wanted_of([*shards, "model.safetensors"]) == ["model.safetensors"]


def test_pickled_weights_are_there_when_all_their_files_are(cache: Path) -> None:
    folder = snapshot(cache, "config.json")
    assert hub.cached("acme/tiny") is None
    shards = {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": shards}))
    (folder / shards["a"]).write_text("")
    assert hub.cached("acme/tiny") is None
    (folder / shards["b"]).write_text("")
    assert hub.cached("acme/tiny") == folder


@pytest.mark.parametrize("source", ["../evil", "a/b/c", "/abs/path", "plain", "a/..", ""])
def test_knows_what_is_no_hub_id(source: str) -> None:
    assert not hub.is_hub_id(source)


PARTS = ("unet/config.json", "unet/w.safetensors", "vae/config.json", "vae/w.safetensors", "text_encoder/config.json")


def test_a_pipeline_is_there_when_all_its_parts_are(cache: Path) -> None:
    folder = snapshot(cache, "model_index.json")
    for name in PARTS:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    assert hub.cached("acme/tiny") is None
    (folder / "text_encoder" / "w.safetensors").write_text("")
    assert hub.cached("acme/tiny") == folder


def test_of_a_pipeline_its_parts_are_fetched_once() -> None:
    weights = "unet/diffusion_pytorch_model"
    names = [
        "model_index.json", "README.md", "v1-5-pruned.safetensors", f"{weights}.safetensors", f"{weights}.bin",
        f"{weights}.fp16.safetensors", f"{weights}.non_ema.safetensors", "unet/config.json", "tokenizer/merges.txt",
        "safety_checker/model.safetensors", "vae/diffusion_pytorch_model.fp16.safetensors",
    ]  # fmt: skip
    assert hub.wanted_of(names) == [
        "model_index.json", f"{weights}.safetensors", "unet/config.json",
        "vae/diffusion_pytorch_model.fp16.safetensors", "tokenizer/merges.txt",
    ]  # fmt: skip


def test_a_pipeline_of_pickled_weights_alone_is_refused() -> None:
    with pytest.raises(NotALanguageModel, match="pickled"):
        hub.refuse_pickles("acme/tiny", ["model_index.json", "all.safetensors", "unet/diffusion_pytorch_model.bin"])
