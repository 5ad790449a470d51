from __future__ import annotations

import io

import pytest

from tunesmith.cli.terminal import console, has_unicode, printable


@pytest.mark.parametrize("text", ["plain", "línea\n\tñ", "日本語 🎯", ""])
def test_text_is_left_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\rb", "a\\rb"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202eevil", "\\u202eevil"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_steers_a_terminal_is_shown_instead(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("encoding", "carries"), [("utf-8", True), ("UTF8", True), ("ascii", False), ("latin-1", False)]
)
def test_the_encoding_of_stdout_decides_on_signs(encoding: str, carries: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert has_unicode() is carries


def test_consoles_leave_markup_alone(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("[bold]:smile:[/bold] 12")
    assert capsys.readouterr().out == "[bold]:smile:[/bold] 12\n"
