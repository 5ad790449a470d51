"""The scripts of a model directory, run for real; what they would run is a program that writes its arguments down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.models.installed import installed
from tunesmith.service.models import launchers
from tunesmith.service.models.directory import COMPLETE, ModelDirectory
from tunesmith.settings import Settings

AWKWARD = ["--data", "a b.json", "*.json", "$(touch hurt)", "`touch hurt`", "'; touch hurt; '", 'Ä"ö', "", "--", "-x"]


@pytest.fixture
def made(tiny_model: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> ModelDirectory:
    """A directory whose scripts run a program that prints its arguments as JSON."""
    recorder = tmp_path / "it's a tune smith"
    recorder.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    recorder.chmod(0o755)
    monkeypatch.setattr(launchers, "command_line", lambda: [str(recorder)])
    return installed(tiny_model, tmp_path / "mö del's $HOME", Settings(home=home))


def ran(command: list[str], folder: Path) -> list[str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    told: list[str] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("script", ["train.sh", "train_lora.py"])
def test_training_is_handed_every_argument_as_it_is(made: ModelDirectory, tmp_path: Path, script: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    program = [sys.executable] if script.endswith(".py") else []
    told = ran([*program, str(made.path / script), *AWKWARD], elsewhere)
    assert told == ["train", "--model-directory", str(made.path), *AWKWARD]
    assert os.listdir(elsewhere) == []


def test_a_directory_that_was_moved_works_where_it_is(made: ModelDirectory, tmp_path: Path) -> None:
    made.path.rename(tmp_path / "moved")
    assert ran(["./train.sh"], tmp_path / "moved") == ["train", "--model-directory", str(tmp_path / "moved")]


def test_serving_is_handed_every_argument_as_it_is(made: ModelDirectory, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert ran([str(made.path / "start.sh"), *AWKWARD], elsewhere) == [
        "serve-model",
        "--model",
        str(made.path),
        *AWKWARD,
    ]
    assert os.listdir(elsewhere) == []


@pytest.mark.parametrize(
    ("arguments", "handed"),
    [
        (["check"], ["models", "info", "HERE"]),
        (["check", "x y"], ["models", "info", "x y"]),
        (["install", "phi-2", "--json"], ["models", "install", "phi-2", "--json"]),
        (["list", "--json"], ["models", "list", "--json"]),
        (["update"], ["models", "install", "--dir", "HERE"]),
        (["config"], ["config", "show"]),
        (["doctor", "--json"], ["doctor", "--json"]),
    ],
)
def test_the_installer_maps_its_commands(made: ModelDirectory, arguments: list[str], handed: list[str]) -> None:
    told = ran(["./llm-installer", *arguments], made.path)
    assert told == [str(made.path) if word == "HERE" else word for word in handed]


def test_fixing_mends_the_directory_and_then_the_machine(made: ModelDirectory) -> None:
    command = ["./llm-installer", "fix", ".", "--fix-cuda", "--reinstall"]
    done = subprocess.run(command, cwd=made.path, capture_output=True, text=True, check=True)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        ["models", "install", "--dir", "."],
        ["doctor", "--fix", "--fix-cuda", "--reinstall"],
    ]


@pytest.mark.parametrize("script", ["train.sh", "start.sh", "train_lora.py"])
@pytest.mark.parametrize("lacking", [COMPLETE, "tunesmith"])
def test_what_is_not_whole_is_refused_in_one_sentence(made: ModelDirectory, script: str, lacking: str) -> None:
    gone = made.path / COMPLETE if lacking == COMPLETE else made.path.parent / "it's a tune smith"
    gone.unlink()
    program = [sys.executable] if script.endswith(".py") else []
    done = subprocess.run([*program, str(made.path / script)], capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 1
    assert "tunesmith models install --dir" in done.stderr


def test_an_unknown_command_of_the_installer_is_one_sentence(made: ModelDirectory) -> None:
    done = subprocess.run(["./llm-installer", "frob"], cwd=made.path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "There is no command 'frob'" in done.stderr
    assert (
        subprocess.run(["./llm-installer", "--help"], cwd=made.path, capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(shutil.which("dash") is None, reason="there is no dash here")
@pytest.mark.parametrize("script", ["train.sh", "start.sh", "llm-installer"])
def test_the_scripts_are_plain_shell(made: ModelDirectory, script: str) -> None:
    assert subprocess.run(["dash", "-n", script], cwd=made.path, check=False).returncode == 0
