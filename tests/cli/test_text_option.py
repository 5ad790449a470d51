"""Words for a model: whole characters alone."""

from __future__ import annotations

import io
import sys

import pytest

from tunesmith.cli.text_option import is_whole, keep_bad_bytes


@pytest.mark.parametrize("text", ["", "caf\u00e9", "\U0001f642", "\ue000", "\ud7ff"])
def test_every_character_of_unicode_is_whole(text: str) -> None:
    assert is_whole(text)


@pytest.mark.parametrize("text", ["caf\udce9", "\ud83d", "a\udfff"])
def test_half_a_character_is_not(text: str) -> None:
    assert not is_whole(text)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_bad_bytes_of_stdin_are_found_in_their_line_alone(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    monkeypatch.setattr(
        "sys.stdin", io.TextIOWrapper(io.BytesIO("caf\u00e9\n".encode() + b"\xe9\n"), encoding=encoding)
    )
    keep_bad_bytes()
    assert [is_whole(line) for line in sys.stdin] == [True, False]
