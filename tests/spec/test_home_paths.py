from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.spec.errors import NobodysHome
from tunesmith.spec.home_paths import expanded


def test_a_home_is_put_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert expanded("~/data") == expanded(Path("~/data")) == Path("/home/ann/data")
    assert expanded("data/~x") == Path("data/~x")


@pytest.mark.parametrize("nobody", ["~nobody-of-this-name/data", "~\x0ey7±R\udbc3>¢ü", "~\x00", "~\ud800/x"])
def test_the_home_of_nobody_is_refused(nobody: str) -> None:
    with pytest.raises(NobodysHome, match="nobody here whose home"):
        expanded(nobody)


def test_who_runs_this_may_have_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(id: int) -> None:
        raise KeyError(id)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(NobodysHome):
        expanded("~/.tunesmith")
