from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from service.models.installed import installed, quiet
from small_disk import small_disk
from tunesmith.service.models import install as module
from tunesmith.service.models.directory import BEGUN, COMPLETE, directory_of_output
from tunesmith.service.models.install import identity, install
from tunesmith.service.models.launchers import SCRIPTS
from tunesmith.service.models.resolve import resolve_model
from tunesmith.settings import Settings
from tunesmith.spec.errors import (
    DirectoryTaken,
    DiskFull,
    ModelNotFound,
    NotALanguageModel,
    NotAModelDirectory,
)
from tunesmith.spec.job import ModelRef


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


def test_a_directory_has_the_model_its_facts_and_its_scripts(
    tiny_model: Path, tmp_path: Path, settings: Settings
) -> None:
    made = installed(tiny_model, tmp_path / "it", settings)
    assert sorted(os.listdir(made.path)) == sorted([*SCRIPTS, COMPLETE, "model", "model_info.json"])
    assert sorted(os.listdir(made.model)) == sorted(os.listdir(tiny_model))
    info = json.loads((made.path / "model_info.json").read_text())
    assert (info["model_id"], info["model_type"], info["model_family"]) == ("tiny-llama", "llama", "Llama")
    assert info["parameters"] > 10_000
    assert info["model_size_gb"] >= 0
    assert all(os.access(made.path / name, os.X_OK) for name in SCRIPTS)


def test_it_goes_below_the_home_folder_by_owner_and_name(
    tiny_model: Path, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(tiny_model, settings.models_dir / "smollm2-135m-instruct")
    made = install("smollm2-135m-instruct", settings, quiet)
    assert made.path == tmp_path / "LLM/models/HuggingFaceTB_SmolLM2-135M-Instruct"
    assert made.model_id == "HuggingFaceTB/SmolLM2-135M-Instruct"


def test_a_snapshot_of_the_hub_keeps_its_name(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--google--gemma-3-12b-it" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    assert identity(str(snapshot)) == "google/gemma-3-12b-it"
    assert identity("meta-llama/Llama-3-8B") == "meta-llama/Llama-3-8B"


def test_removing_the_pull_leaves_the_model_whole(
    tiny_model: Path, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGE", 1000)
    pulled = shutil.copytree(tiny_model, tmp_path / "pulled")
    weights = (pulled / "model.safetensors").read_bytes()
    made = installed(pulled, tmp_path / "it", settings)
    assert os.path.samefile(made.model / "model.safetensors", pulled / "model.safetensors")
    assert not os.path.samefile(made.model / "config.json", pulled / "config.json")
    shutil.rmtree(pulled)
    assert (made.model / "model.safetensors").read_bytes() == weights
    assert made.is_complete


def test_installing_again_brings_back_what_is_missing_and_keeps_what_was_trained(
    tiny_model: Path, tmp_path: Path, settings: Settings
) -> None:
    made = installed(tiny_model, tmp_path / "it", settings)
    (made.path / "lora").mkdir()
    (made.path / "lora" / "adapter_config.json").write_text("mine")
    (made.path / "train.sh").unlink()
    (made.model / "tokenizer.json").unlink()
    assert not made.is_complete
    install(None, settings, quiet, directory=made.path)
    assert made.is_complete
    assert (made.path / "lora" / "adapter_config.json").read_text() == "mine"


@pytest.mark.parametrize("last", ["model", "model_info.json", COMPLETE])
def test_an_installation_that_broke_off_has_no_mark_and_is_ended_by_the_next(
    tiny_model: Path, tmp_path: Path, settings: Settings, last: str
) -> None:
    breaking = (
        "import os, sys; from pathlib import Path; from tunesmith.service.models import install as m\n"
        "def dying(path, content, write=m.write_json, last=sys.argv[3]):\n"
        "    if path.name == last: os._exit(9)\n"
        "    write(path, content)\n"
        "m.write_json = dying\n"
        "if sys.argv[3] == 'model': m.sync_folder = lambda folder: os._exit(9)\n"
        "from tunesmith.settings import Settings\n"
        "m.install(sys.argv[1], Settings(home=Path(sys.argv[4])), lambda s, d: None, directory=Path(sys.argv[2]))\n"
    )
    target = tmp_path / "it"
    arguments = [str(tiny_model), str(target), last, str(settings.home)]
    assert subprocess.run([sys.executable, "-c", breaking, *arguments], check=False).returncode == 9
    assert not (target / COMPLETE).exists()
    assert (target / BEGUN).exists()
    made = install(None, settings, quiet, directory=target)
    assert made.is_complete
    assert sorted(os.listdir(target)) == sorted([*SCRIPTS, COMPLETE, "model", "model_info.json"])


def test_two_at_once_make_one(tiny_model: Path, tmp_path: Path, settings: Settings) -> None:
    failures: list[BaseException] = []

    def make() -> None:
        try:
            installed(tiny_model, tmp_path / "it", settings)
        except BaseException as error:  # noqa: BLE001  (told by the assertion below)
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(os.listdir(tmp_path / "it")) == sorted([*SCRIPTS, COMPLETE, "model", "model_info.json"])


def test_a_folder_that_holds_something_else_is_refused_as_it_is(
    tiny_model: Path, tmp_path: Path, settings: Settings
) -> None:
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "notes.txt").write_text("mine")
    with pytest.raises(DirectoryTaken, match="other files"):
        installed(tiny_model, tmp_path / "it", settings)
    assert os.listdir(tmp_path / "it") == ["notes.txt"]


def test_another_model_is_not_put_over_the_first(tiny_model: Path, tmp_path: Path, settings: Settings) -> None:
    made = installed(tiny_model, tmp_path / "it", settings)
    other = shutil.copytree(tiny_model, tmp_path / "other")
    with pytest.raises(DirectoryTaken, match="the model tiny-llama"):
        installed(other, made.path, settings)
    assert made.is_complete


def test_what_is_no_model_is_named_and_makes_nothing(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "empty").mkdir()
    for source in ("./nowhere", str(tmp_path / "empty")):
        with pytest.raises(ModelNotFound):
            install(source, settings, quiet, directory=tmp_path / "it")
    (tmp_path / "empty" / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(NotALanguageModel):
        install(str(tmp_path / "empty"), settings, quiet, directory=tmp_path / "it")
    assert not (tmp_path / "it").exists()


def test_renewing_a_folder_where_nothing_is_installed_is_refused(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(NotAModelDirectory):
        install(None, settings, quiet, directory=tmp_path)


def test_a_full_disk_is_one_sentence_and_more_room_ends_it(
    tiny_model: Path, tmp_path: Path, settings: Settings
) -> None:
    heavy = shutil.copytree(tiny_model, tmp_path / "heavy")
    (heavy / "vocab.txt").write_bytes(b"x" * 3_000_000)
    with small_disk(tmp_path / "disk", megabytes=2) as disk:
        with pytest.raises(DiskFull):
            installed(heavy, disk / "it", settings)
        assert not (disk / "it" / COMPLETE).exists()
        (heavy / "vocab.txt").write_bytes(b"x")
        assert install(None, settings, quiet, directory=disk / "it").is_complete


def test_the_directory_can_stand_for_its_model(tiny_model: Path, tmp_path: Path, settings: Settings) -> None:
    made = installed(tiny_model, tmp_path / "it", settings)
    assert resolve_model(ModelRef(source=str(made.path)), settings) == made.model.resolve()


def test_only_an_output_inside_a_model_directory_has_one(tiny_model: Path, tmp_path: Path, settings: Settings) -> None:
    made = installed(tiny_model, tmp_path / "it", settings)
    assert directory_of_output(made.path / "lora") == made.path
    assert directory_of_output(made.path / "some" / "lora") is None
    assert directory_of_output(tmp_path / "lora") is None
