from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from service.models.installed import installed
from tunesmith.service.models.directory import directories, find
from tunesmith.settings import Settings
from tunesmith.spec.errors import NotAModelDirectory


@pytest.fixture
def settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HOME", str(home))
    return Settings(home=home)


def test_directories_are_listed_wherever_they_lie(tiny_model: Path, tmp_path: Path, settings: Settings) -> None:
    here, usual = tmp_path / "here", Path("~/LLM/models/tiny").expanduser()
    installed(tiny_model, here, settings)
    installed(tiny_model, usual, settings)
    assert [directory.path for directory in directories(settings)] == sorted([here, usual])
    assert [directory.path for directory in directories(Settings(home=tmp_path / "other"))] == [usual]
    shutil.rmtree(here)
    assert [directory.path for directory in directories(settings)] == [usual]


@pytest.mark.parametrize("name", ["tiny-llama", "Tiny-Llama", "it"])
def test_a_directory_is_found_by_any_of_its_names(
    tiny_model: Path, tmp_path: Path, settings: Settings, name: str
) -> None:
    made = installed(tiny_model, tmp_path / "it", settings)
    assert find(name, settings).path == made.path
    assert find(str(made.path), settings).path == made.path


def test_a_name_that_nothing_has_gets_the_nearest(tiny_model: Path, tmp_path: Path, settings: Settings) -> None:
    installed(tiny_model, tmp_path / "it", settings)
    with pytest.raises(NotAModelDirectory, match="Did you mean 'tiny-llama'"):
        find("tiny-lama", settings)
