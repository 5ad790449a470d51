from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import pytest

from tunesmith.cli.main import main


class Said(NamedTuple):
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


class Call(Protocol):
    """``tunesmith(*arguments)``."""

    def __call__(self, *arguments: str) -> Said: ...


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TUNESMITH_HOME", "TUNESMITH_OFFLINE", "HF_HUB_OFFLINE", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "work").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def tunesmith(capsys: pytest.CaptureFixture[str]) -> Call:
    """The command line, run in this process."""

    def call(*arguments: str) -> Said:
        status = main(arguments)
        captured = capsys.readouterr()
        return Said(status, captured.out, captured.err)

    return call
