from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.models.installed import installed
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.published_links import link_beside
from tunesmith.service.models.directory import COMPLETE, directories
from tunesmith.service.models.removal import planned, remove
from tunesmith.settings import Settings
from tunesmith.spec.errors import OutputBusy


@pytest.fixture
def settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HOME", str(home))
    return Settings(home=home)


def test_nothing_is_left_of_a_model_nobody_trained(tiny_model: Path, tmp_path: Path, settings: Settings) -> None:
    made = installed(tiny_model, tmp_path / "it", settings)
    assert remove(made, settings).kept == []
    assert not made.path.exists()
    assert directories(settings) == []


def test_what_users_made_stays(tiny_model: Path, tmp_path: Path, settings: Settings) -> None:
    made = installed(tiny_model, tmp_path / "it", settings)
    (made.path / "lora" / "checkpoints").mkdir(parents=True)
    (made.path / "notes.txt").write_text("mine")
    (made.model / "my-notes.txt").write_text("mine too")
    link_beside(made.path / "lora")
    assert planned(made).kept == ["lora", "model", "notes.txt"]
    remove(made, settings)
    assert sorted(os.listdir(made.path)) == ["lora", "model", "notes.txt"]
    assert os.listdir(made.model) == ["my-notes.txt"]


def test_all_means_all(tiny_model: Path, tmp_path: Path, settings: Settings) -> None:
    made = installed(tiny_model, tmp_path / "it", settings)
    (made.path / "notes.txt").write_text("mine")
    assert remove(made, settings, everything=True).kept == []
    assert not made.path.exists()


def test_half_an_installation_goes_too(tiny_model: Path, tmp_path: Path, settings: Settings) -> None:
    made = installed(tiny_model, tmp_path / "it", settings)
    (made.path / COMPLETE).rename(made.path / ".installing")
    remove(made, settings)
    assert not made.path.exists()


def test_a_directory_in_which_a_run_trains_stays(tiny_model: Path, tmp_path: Path, settings: Settings) -> None:
    made = installed(tiny_model, tmp_path / "it", settings)
    # A run that this living process has just made.
    RunFolder.create(settings.home, kind="train", name="faq", output=made.path / "lora")
    with pytest.raises(OutputBusy):
        remove(made, settings)
    assert made.is_complete
