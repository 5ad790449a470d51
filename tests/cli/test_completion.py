from __future__ import annotations

import pytest

from cli.conftest import Call
from tunesmith.cli.main import command_line


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_asks_tunesmith(tunesmith: Call, shell: str) -> None:
    said = tunesmith("completion", shell)
    assert said.status == 0
    assert "_TUNESMITH_COMPLETE" in said.out


def test_another_shell_is_refused(tunesmith: Call) -> None:
    said = tunesmith("completion", "tcsh")
    assert said.status == 2
    assert "tcsh" in said.err


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["tunesmith", "tr"], "train"),
        (["tunesmith", "train", "--lora-"], "--lora-alpha"),
        (["tunesmith", "train", "--dtype", ""], "bf16"),
    ],
)
def test_words_are_completed(
    words: list[str], offered: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_TUNESMITH_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    with pytest.raises(SystemExit):
        command_line.main([], prog_name="tunesmith", standalone_mode=False)
    assert f"plain,{offered}" in capsys.readouterr().out.splitlines()
