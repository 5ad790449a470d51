from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.spec.home_paths import expanded


def test_a_home_is_put_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert expanded("~/data") == expanded(Path("~/data")) == Path("/home/ann/data")
    assert expanded("data/~x") == Path("data/~x")


@pytest.mark.parametrize("nobody", ["~nobody-of-this-name/data", "~\x0ey7±R\udbc3>¢ü", "~\x00", "~\ud800/x"])
def test_a_home_of_nobody_stays_as_it_was_written(nobody: str) -> None:
    assert expanded(nobody) == Path(nobody)
