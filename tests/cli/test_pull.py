"""``tunesmith pull``: names in, folders out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.cli.main import main
from tunesmith.service.models.aliases import ALIASES

NAME = "chatterbot-corpus"


@pytest.fixture
def pulled(home: Path) -> Path:
    folder = home / "datasets" / NAME
    folder.mkdir(parents=True)
    return folder


def test_lists_every_name_and_what_is_here(pulled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "--list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["names"]
    assert [row["name"] for row in rows] == list(ALIASES)
    assert [row["name"] for row in rows if row["pulled"] and row["kind"] == "dataset"] == [NAME]
    assert main(["pull", "--list"]) == 0
    assert NAME in capsys.readouterr().out


def test_what_is_there_is_named_at_once(pulled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", NAME, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"pulled": [{"name": NAME, "path": str(pulled), "already_there": True}]}
    assert main(["pull", NAME]) == 0
    assert "already in" in capsys.readouterr().out


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        (["pull"], 2, "pull --list"),
        (["pull", "chatterbot-corpora"], 2, f"Did you mean '{NAME}'"),
        (["--offline", "pull", NAME], 78, "offline"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    typed: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed) == status
    assert said in capsys.readouterr().err
