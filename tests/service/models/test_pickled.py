"""Models of which there are pickled weights alone: rewritten once, and trained and served like any other."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from hub_cache import PICTURED, fill_pictured
from integration.jobs import begin, tiny_job, until_over
from tiny import make_tiny_model
from tunesmith.runs.folder import run_folders
from tunesmith.runs.status import status
from tunesmith.service.models.pickled import pickled_files, readable
from tunesmith.service.models.pull import pull
from tunesmith.service.models.resolve import resolve_model
from tunesmith.service.serving.session import OwnSession
from tunesmith.service.serving.targets import Target
from tunesmith.settings import Settings
from tunesmith.spec.errors import PullFailed, UnreadableFile
from tunesmith.spec.job import ModelRef
from tunesmith.spec.states import RunState


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


def pickle_weights(folder: Path, *, files: int = 1, old: bool = False) -> dict[str, Any]:
    """Store a model's weights as its makers did before safetensors; return them."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    parts = [names[place::files] for place in range(files)]
    stored = [f"pytorch_model-{place + 1:05}-of-{files:05}.bin" for place in range(files)]
    if files == 1:
        stored = ["pytorch_model.bin"]
    else:
        named = {name: file for file, part in zip(stored, parts, strict=True) for name in part}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": named}))
    for file, part in zip(stored, parts, strict=True):
        torch.save({name: weights[name] for name in part}, folder / file, _use_new_zipfile_serialization=not old)
    return weights


def weights_of(folder: Path) -> dict[str, Any]:
    return {name: each for file in sorted(folder.glob("*.safetensors")) for name, each in load_file(file).items()}


@pytest.mark.parametrize(("files", "old"), [(1, False), (1, True), (3, False)])
def test_weights_stay_what_they_were(files: int, old: bool, settings: Settings, tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model")
    weights = pickle_weights(model, files=files, old=old)
    found = resolve_model(ModelRef(source=str(model)), settings)
    assert found.is_relative_to(settings.home / "converted")
    made = weights_of(found)
    assert made.keys() == weights.keys() and all(torch.equal(made[name], weights[name]) for name in weights)
    assert not list(found.glob("*.bin*"))
    assert (found / "tokenizer.json").read_bytes() == (model / "tokenizer.json").read_bytes()
    assert "without running anything" in (found / "README.md").read_text()
    assert resolve_model(ModelRef(source=str(model)), settings) == found
    assert [path.name for path in found.parent.glob("[!.]*")] == [found.name]


def test_a_model_that_changed_is_read_anew(settings: Settings, tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model")
    weights = pickle_weights(model)
    first = readable(model, "model", settings)
    torch.save({name: each * 2 for name, each in weights.items()}, model / "pytorch_model.bin")
    os.utime(model / "pytorch_model.bin", (1, 1))
    assert readable(model, "model", settings) != first


def test_safetensors_come_first(settings: Settings, tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model")
    torch.save({}, model / "pytorch_model.bin")
    assert readable(model, "model", settings) == model


def test_such_a_model_is_trained_and_asked_like_any_other(settings: Settings, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = make_tiny_model(tmp_path / "model")
    pickle_weights(model, files=2)
    rows = [{"question": f"Who is number {number}?", "answer": "Me."} for number in range(12)]
    (tmp_path / "chat.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run = until_over(begin(tiny_job(model, tmp_path / "chat.jsonl", tmp_path / "out", method="full"), settings))
    assert status(run).state is RunState.SUCCEEDED, run.log.read_text()
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").num_parameters() > 0
    adapter = until_over(begin(tiny_job(model, tmp_path / "chat.jsonl", tmp_path / "lora"), settings))
    assert status(adapter).state is RunState.SUCCEEDED
    with OwnSession(settings, Target("tiny", None, readable(model, "model", settings), tmp_path / "lora")) as session:
        assert list(session.chat([{"role": "user", "content": "Who?"}], max_tokens=3))


def test_a_pull_from_the_hub_makes_what_training_reads(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "openai/clip-vit-base-patch32"
    assert name in PICTURED
    fill_pictured(tmp_path / "hf")
    [snapshot] = (tmp_path / "hf" / "hub" / "models--openai--clip-vit-base-patch32" / "snapshots").iterdir()
    pickle_weights(snapshot)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    stages: list[str] = []
    found = pull(name, settings, lambda stage, done: stages.append(stage))
    assert "models--openai--clip-vit-base-patch32" in found.name and weights_of(found)
    assert "reading and converting the weights" in stages
    assert resolve_model(ModelRef(source=name), settings) == found


class Evil:
    """Makes a folder where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._place),)


def test_what_a_file_calls_is_not_called_and_nothing_is_left(settings: Settings, tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model")
    weights = pickle_weights(model)
    torch.save({**weights, "more": Evil(tmp_path / "mark")}, model / "pytorch_model.bin")
    with pytest.raises(PullFailed, match=r"pytorch_model\.bin.*holds more than numbers"):
        readable(model, "model", settings)
    assert not (tmp_path / "mark").exists()
    assert not list((settings.home / "converted").glob("[!.]*"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no file of weights|damaged"),
        (b"no pickle at all", "more than numbers, or is damaged"),
        (None, "no weight"),
    ],
)
def test_what_is_no_weight_is_one_sentence(content: bytes | None, why: str, settings: Settings, tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model")
    pickle_weights(model)
    if content is None:
        torch.save({"step": 1}, model / "pytorch_model.bin")
    else:
        (model / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(PullFailed, match=why):
        readable(model, "model", settings)


@pytest.mark.parametrize("map", [{"a": "../../secret.bin"}, {"a": "gone.bin"}, [], None])
def test_a_damaged_list_of_files_is_one_sentence(map: Any, tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model")
    pickle_weights(model, files=2)
    (model / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": map}))
    with pytest.raises(UnreadableFile, match="index"):
        pickled_files(model)


def test_two_at_once_make_it_once(settings: Settings, tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model")
    pickle_weights(model)
    found: list[Path] = []
    both = [threading.Thread(target=lambda: found.append(readable(model, "model", settings))) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert len(set(found)) == 1 and len(found) == 2
    assert len(run_folders(settings.runs_dir)) == 1
