"""The token for the hub: from the environment or from ``.env``, and in nothing that is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.service.models import hub

SECRET = "hf_nobody_may_see_this"


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in hub.TOKENS:
        monkeypatch.delenv(name, raising=False)


def test_without_any_there_is_none() -> None:
    assert hub.token() is None


@pytest.mark.parametrize("name", hub.TOKENS)
def test_it_may_stand_in_the_environment_file(tmp_path: Path, name: str) -> None:
    (tmp_path / ".env").write_text(f"LORA_R=16\n{name}={SECRET}\n")
    assert hub.token() == SECRET


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("HF_TOKEN=another\n")
    monkeypatch.setenv("HUGGINGFACE_TOKEN", SECRET)
    assert hub.token() == SECRET
