"""``tunesmith chat``: lines in, answers and memory out."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.cli.chat import Chat
from tunesmith.service.serving.session import Session
from tunesmith.service.serving.sought import session_with
from tunesmith.settings import Settings


@pytest.fixture(scope="module")
def served(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with session_with(Settings(home=tmp_path_factory.mktemp("home")), str(tiny_model)) as session:
        yield session


@pytest.fixture
def talk(served: Session, monkeypatch: pytest.MonkeyPatch) -> Chat:
    return Chat(served, None, {"max_tokens": 4})


def say(chat: Chat, monkeypatch: pytest.MonkeyPatch, *lines: str) -> list[tuple[str, str]]:
    """Type lines, to the end of the input; return what is remembered, the answers as a dash."""
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    chat.run()
    return [(turn["role"], "-" if turn["role"] == "assistant" else turn["content"]) for turn in chat._messages]


def test_remembers_both_sides(talk: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    said = say(talk, monkeypatch, "one", "", "two")
    assert said == [("user", "one"), ("assistant", "-"), ("user", "two"), ("assistant", "-")]


def test_reset_keeps_the_instructions_alone(talk: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    said = say(talk, monkeypatch, "/system Be brief.", "one", "/reset")
    assert said == [("system", "Be brief.")]


def test_system_starts_afresh(talk: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    assert say(talk, monkeypatch, "one", "/system Be brief.") == [("system", "Be brief.")]
    assert say(talk, monkeypatch, "/system") == []


def test_exit_leaves_the_rest_unread(talk: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    assert say(talk, monkeypatch, "/exit", "one") == []


def test_an_unknown_command_shows_the_known_ones(
    talk: Chat, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say(talk, monkeypatch, "/help") == []
    assert "/reset" in capsys.readouterr().out


def test_a_turn_that_is_refused_is_taken_back(
    talk: Chat, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say(talk, monkeypatch, "x" * 600, "one") == [("user", "one"), ("assistant", "-")]
    assert "the model sees 512" in capsys.readouterr().err


def test_a_line_that_is_not_utf8_is_left_out(
    talk: Chat, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9\none\n"), encoding="utf-8"))
    talk.run()
    assert [turn["content"] for turn in talk._messages if turn["role"] == "user"] == ["one"]
    assert "This line is not UTF-8." in capsys.readouterr().err


def test_a_turn_that_is_stopped_before_its_answer_began_is_taken_back(
    talk: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(pieces: Iterator[str]) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("tunesmith.cli.chat.show", stopped)
        assert say(talk, monkeypatch, "one") == []
    assert say(talk, monkeypatch, "two") == [("user", "two"), ("assistant", "-")]
