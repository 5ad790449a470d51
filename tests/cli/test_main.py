from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import tunesmith as package
from cli.conftest import Call
from tunesmith.cli import config
from tunesmith.cli.main import COMMANDS, INTERRUPTED, PIPE_CLOSED, main


def python(*arguments: str, stdout: int | None = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    source = str(Path(package.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )


def test_help_lists_every_command_with_its_line(tunesmith: Call) -> None:
    said = tunesmith("--help")
    assert said.status == 0
    for name, row in COMMANDS.items():
        assert any(line.split()[:1] == [name] and row.summary in line for line in said.out.splitlines()), name


def test_help_imports_no_command() -> None:
    program = (
        "import sys; from tunesmith.cli.main import main; main(['--help']); "
        "print([m for m in sys.modules if m.startswith('tunesmith')], 'pydantic' in sys.modules)"
    )
    told = python("-c", program).stdout.splitlines()[-1]
    assert told == "['tunesmith', 'tunesmith.cli', 'tunesmith.cli.main'] False"


def test_the_help_of_train_imports_nothing_heavy() -> None:
    program = (
        "import sys; from tunesmith.cli.main import main; main(['train', '--help']); "
        "heavy = ('torch', 'transformers', 'numpy', 'rich', 'yaml', 'pydantic_settings'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    assert python("-c", program).stdout.splitlines()[-1] == "[]"


def test_version(tunesmith: Call) -> None:
    assert tunesmith("--version").out == f"tunesmith {package.__version__}\n"


def test_an_unknown_command_is_one_sentence_with_the_nearest_name(tunesmith: Call) -> None:
    said = tunesmith("trian")
    assert said.status == 2
    assert said.err.startswith("Error: There is no command 'trian'. Did you mean 'train'?")
    assert len(said.err.splitlines()) == 1


def test_an_unknown_flag_is_one_sentence_with_the_nearest_name(tunesmith: Call) -> None:
    said = tunesmith("train", "--lerning-rate", "1")
    assert said.status == 2
    assert "--lerning-rate" in said.err and "--learning-rate" in said.err
    assert len(said.err.splitlines()) == 1


def test_json_tells_programs_the_error_too(tunesmith: Call) -> None:
    said = tunesmith("train", "--json", "--model", "m")
    assert said.status == 2
    assert json.loads(said.out)["error"]["code"] == "usage"
    assert json.loads(said.out)["error"]["message"] in said.err


def test_the_home_can_be_typed(tunesmith: Call, tmp_path: Path) -> None:
    said = tunesmith("--home", str(tmp_path / "elsewhere"), "--offline", "config", "show", "--json")
    shown = json.loads(said.out)
    assert shown["home"] == {"value": str(tmp_path / "elsewhere"), "origin": "command line"}
    assert shown["offline"] == {"value": True, "origin": "command line"}


def test_ctrl_c_ends_a_command_without_a_traceback(monkeypatch: pytest.MonkeyPatch, tunesmith: Call) -> None:
    @click.command()
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(config, "command", interrupted)
    said = tunesmith("config")
    assert said.status == INTERRUPTED
    assert said.err.strip() == "Interrupted."


def test_a_refusal_of_the_system_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tunesmith: Call) -> None:
    @click.command()
    def refused() -> None:
        Path("/nowhere/at/all").read_text()

    monkeypatch.setattr(config, "command", refused)
    said = tunesmith("config")
    assert (said.status, said.err) == (78, "Error: /nowhere/at/all: No such file or directory.\n")


def test_a_fault_of_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(config, "command", broken)
    with pytest.raises(ZeroDivisionError):
        main(["config"])


def test_a_reader_that_goes_away_ends_it_silently() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = python("-m", "tunesmith.cli.main", "train", "--help", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (PIPE_CLOSED, "")


@pytest.mark.parametrize("group", ["runs", "keys", "orgs", "models", "data"])
def test_a_group_without_a_command_shows_its_help(tunesmith: Call, group: str) -> None:
    said = tunesmith(group)
    assert said.status == 2
    assert said.err.startswith(f"Usage: tunesmith {group}") and "\nCommands:\n" in said.err


WITHOUT_SERVER = """
import sys
from tunesmith.cli import main
sys.modules.update(dict.fromkeys(main.OF_SERVER))
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("words", [("serve",), ("keys", "list"), ("orgs", "list")])
def test_what_needs_the_servers_packages_says_how_to_get_them(home: Path, words: tuple[str, ...]) -> None:
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_SERVER, "--home", str(home), *words], capture_output=True, text=True, check=False
    )
    assert said.returncode == 78
    assert "pip install 'tunesmith[serve]'" in said.stderr and len(said.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [("runs", "list"), ("train", "--resume", "--output", "lora"), ("plan", "--help")])
def test_whatever_else_needs_none_of_them(home: Path, words: tuple[str, ...]) -> None:
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_SERVER, "--home", str(home), *words], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in said.stderr and "tunesmith[serve]" not in said.stderr, said.stderr
