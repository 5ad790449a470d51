"""What a resumed run was made of must be what it was: else one sentence, and nothing is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from integration.conftest import Here, write_chat
from integration.jobs import begin, digest, tiny_job
from tiny import make_tiny_model
from tunesmith.runs import checkpoints
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.publish import published_run
from tunesmith.runs.status import status
from tunesmith.service.jobs.follow import follow
from tunesmith.service.jobs.resume import Resumable, find_resumable, resume
from tunesmith.settings import Settings
from tunesmith.spec.errors import ResumeDiffers
from tunesmith.spec.events import Failed
from tunesmith.spec.states import RunState

LARGER = {"recipe.max_steps": 6}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_tiny_model(tmp_path / "model")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_chat(tmp_path / "chat.jsonl")


@pytest.fixture
def done(here: Here, settings: Settings, model: Path, data: Path, tmp_path: Path) -> RunFolder:
    """A run of three steps that published its result and could go on with a larger limit."""
    return begin(tiny_job(model, data, tmp_path / "lora", max_steps=3), settings)


def test_changed_data_is_refused(here: Here, settings: Settings, done: RunFolder, data: Path, tmp_path: Path) -> None:
    result, newest = digest(tmp_path / "lora" / "adapter_model.safetensors"), checkpoints.newest_verified(done)
    data.write_text(data.read_text().replace("It is 4.", "It is 5."))
    child = resume(Resumable(done), settings, LARGER)
    last = list(follow(child))[-1].body
    assert isinstance(last, Failed)
    assert (here.code, last.exit_code, last.code) == (78, 78, "resume_differs")
    assert "Traceback" not in (child.log.read_text() if child.log.exists() else "")
    assert status(child).state is RunState.FAILED
    assert digest(tmp_path / "lora" / "adapter_model.safetensors") == result
    assert published_run(tmp_path / "lora") == done.id
    assert newest is not None and checkpoints.newest_verified(done) == newest

    # With the data as it was, the same output goes on: the refused run is no dead end.
    data.write_text(data.read_text().replace("It is 5.", "It is 4."))
    again = resume(find_resumable(settings, output=tmp_path / "lora"), settings, LARGER)
    assert (here.code, status(again).step) == (0, 6)


def test_changed_weights_of_the_base_model_are_refused(settings: Settings, done: RunFolder, model: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(model / "model.safetensors")
    save_file({name: tensor * 1.01 for name, tensor in weights.items()}, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(ResumeDiffers, match="the model"):
        resume(Resumable(done), settings, LARGER)


def test_a_changed_chat_template_is_refused(
    here: Here, settings: Settings, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = json.loads((model / "tokenizer_config.json").read_text())["chat_template"]
    (tmp_path / "mine.jinja").write_text(template)
    monkeypatch.chdir(tmp_path)
    spec = tiny_job(model, data, tmp_path / "lora", max_steps=3, options={"chat_template": "mine.jinja"})
    run = begin(spec, settings)
    assert here.code == 0
    assert (tmp_path / "lora" / "chat_template.jinja").read_text() == template
    (tmp_path / "mine.jinja").write_text(template.replace("<|im_start|>", "<|im_start|> "))
    resume(Resumable(run), settings, LARGER)
    assert here.code == 78


def test_an_older_checkpoint_can_be_gone_on_from(
    here: Here, settings: Settings, model: Path, data: Path, tmp_path: Path
) -> None:
    run = begin(tiny_job(model, data, tmp_path / "lora", max_steps=9), settings)
    older = checkpoints.listed(run)[0]
    assert older.step < 9
    found = find_resumable(settings, output=tmp_path / "lora", reference=str(older.path))
    child = resume(found, settings, {"recipe.max_steps": 12})
    started = next(event.body for event in follow(child) if event.body.kind == "started")
    assert (here.code, started.step, started.total_steps) == (0, older.step, 12)
