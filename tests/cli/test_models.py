from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Call


@pytest.fixture(autouse=True)
def own_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))


def test_a_model_is_installed_listed_shown_and_removed(tunesmith: Call, tiny_model: Path, tmp_path: Path) -> None:
    it = tmp_path / "it"
    said = tunesmith("models", "install", str(tiny_model), "--dir", str(it))
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines()[-1] == f"Train it:  cd {it} && ./train.sh --data FILE"
    assert str(it) in tunesmith("models", "list").out
    assert "nothing yet" in tunesmith("models", "info", "tiny-llama").out
    said = tunesmith("models", "remove", "tiny-llama", "--yes")
    assert (said.status, it.exists()) == (0, False)
    assert said.out == f"tiny-llama is removed from {it}.\n"
    assert tunesmith("models", "list").out.startswith("No models are installed.")


def test_programs_get_json(tunesmith: Call, tiny_model: Path, tmp_path: Path) -> None:
    made = json.loads(tunesmith("models", "install", str(tiny_model), "--dir", str(tmp_path / "it"), "--json").out)
    assert (made["model_id"], made["complete"], made["results"]) == ("tiny-llama", True, [])
    assert json.loads(tunesmith("models", "list", "--json").out) == {"models": [made]}
    assert json.loads(tunesmith("models", "info", str(tmp_path / "it"), "--json").out) == made
    (tmp_path / "it" / "notes.txt").write_text("mine")
    removed = json.loads(tunesmith("models", "remove", "tiny-llama", "--yes", "--json").out)
    assert removed["kept"] == ["notes.txt"]


def test_removing_asks_and_without_an_answer_does_nothing(tunesmith: Call, tiny_model: Path, tmp_path: Path) -> None:
    tunesmith("models", "install", str(tiny_model), "--dir", str(tmp_path / "it"))
    said = tunesmith("models", "remove", "tiny-llama")
    assert said.status == 2
    assert "give --yes" in said.err
    assert (tmp_path / "it" / ".install_complete").is_file()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["install"], 2, "Name what to install"),
        (["install", "./nowhere"], 78, "./nowhere: no such model"),
        (["install", "--dir", "nowhere"], 78, "nowhere: no model directory."),
        (["info", "nobody"], 78, "nobody: no model directory."),
        (["remove", "nobody", "--yes"], 78, "nobody: no model directory."),
    ],
)
def test_what_is_not_there_is_one_sentence(tunesmith: Call, arguments: list[str], status: int, words: str) -> None:
    said = tunesmith("models", *arguments)
    assert said.status == status
    assert words in said.err
    assert len(said.err.splitlines()) == 1
