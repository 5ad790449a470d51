from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Call
from tunesmith.settings import Settings


def test_each_setting_is_shown_with_its_origin(tunesmith: Call, home: Path) -> None:
    (home / "config.yaml").write_text("offline: true\n")
    lines = tunesmith("config", "show").out.splitlines()
    shown = {line.split()[0]: line.split()[1:] for line in lines}
    assert list(shown) == list(Settings.model_fields)
    assert {name: shown[name] for name in ("home", "offline", "cache_limit_gb")} == {
        "home": [str(home), "(TUNESMITH_HOME)"],
        "offline": ["yes", f"({home / 'config.yaml'})"],
        "cache_limit_gb": ["20.0", "(default)"],
    }


def test_programs_get_json(tunesmith: Call, home: Path) -> None:
    answer = json.loads(tunesmith("config", "show", "--json").out)
    assert list(answer) == list(Settings.model_fields)
    assert {name: answer[name] for name in ("home", "offline", "cache_limit_gb")} == {
        "home": {"value": str(home), "origin": "TUNESMITH_HOME"},
        "offline": {"value": False, "origin": "default"},
        "cache_limit_gb": {"value": 20.0, "origin": "default"},
    }


def test_a_variable_that_nothing_reads_is_warned_of(
    tunesmith: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNESMITH_OFLINE", "1")
    said = tunesmith("config", "show")
    assert said.status == 0
    assert "Warning: TUNESMITH_OFLINE is not a setting of tunesmith. Did you mean 'TUNESMITH_OFFLINE'?" in said.err


def test_a_setting_that_is_off_is_one_sentence(tunesmith: Call, home: Path) -> None:
    (home / "config.yaml").write_text("ofline: true\n")
    said = tunesmith("config", "show")
    assert said.status == 78
    assert said.err.count("\n") == 1
    assert "unknown key 'ofline'" in said.err
