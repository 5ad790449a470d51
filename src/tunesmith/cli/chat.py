"""``tunesmith chat``: a conversation in the terminal."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tunesmith.cli.generate import model_options, opening, session, show, typed
from tunesmith.cli.text_option import NOT_UTF8, is_whole, keep_bad_bytes

if TYPE_CHECKING:
    from tunesmith.service.serving.session import Session

TEMPERATURE: Final = 0.7
"""Of a chat: always the likeliest word soon repeats itself in a long conversation."""
HELP: Final = "/reset forgets the conversation, /system TEXT sets the instructions, /exit ends. Ctrl-C stops an answer."
PROMPT: Final = "> "


@click.command()
@model_options
def command(
    *, model: str | None, adapter: Path | None, checkpoint: str | None, system: str | None, **sampling: Any
) -> int:
    """Talk to a model, with or without an adapter.

    /reset forgets the conversation, /system TEXT sets the instructions, /exit or Ctrl-D ends; Ctrl-C stops an answer.

    \b
    tunesmith chat --adapter ./lora
    tunesmith chat --model ~/LLM/models/HuggingFaceTB_SmolLM2-135M-Instruct
    """
    drawn = {"temperature": TEMPERATURE} | typed(sampling)
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (gives input() its line editing)
    with session(model, adapter, checkpoint) as served:
        if sys.stdin.isatty():
            click.echo(f"{served.model}. {HELP}")
        Chat(served, system, drawn).run()
    return 0


class Chat:
    """Reads lines, prints answers, remembers both."""

    def __init__(self, served: Session, system: str | None, sampling: dict[str, Any]) -> None:
        self._served = served
        self._sampling = sampling
        self._messages = opening(system)

    def run(self) -> None:
        """Go on until the end of the input or /exit."""
        keep_bad_bytes()
        while (line := _read_line()) is not None:
            if not is_whole(line):
                click.echo(f"This line {NOT_UTF8}", err=True)
            elif line.startswith("/"):
                if not self._obey(line):
                    return
            elif line:
                self._answer(line)

    def _obey(self, line: str) -> bool:
        """Do what a command says; return whether to go on."""
        word, _, rest = line.partition(" ")
        match word:
            case "/exit" | "/quit":
                return False
            case "/reset":
                self._messages = [turn for turn in self._messages if turn["role"] == "system"]
                click.echo("Forgotten.")
            case "/system":
                self._messages = opening(rest.strip() or None)
                click.echo("A fresh conversation with these instructions." if rest.strip() else "No instructions.")
            case _:
                click.echo(HELP)
        return True

    def _answer(self, line: str) -> None:
        """Print the answer to a line; a turn that the model refuses, or has not begun to answer, is taken back."""
        from tunesmith.cli.terminal import printable
        from tunesmith.spec.errors import ModelGone, TunesmithError

        self._messages.append({"role": "user", "content": line})
        reply = self._served.chat(self._messages, **self._sampling)
        try:
            show(reply)
        except KeyboardInterrupt:
            reply.close()
            click.echo(" [stopped]")
            if not reply.text:
                self._messages.pop()
                return
        except ModelGone:
            raise
        except TunesmithError as error:
            self._messages.pop()
            click.echo(printable(f"{error.message} /reset starts afresh."), err=True)
            return
        self._messages.append({"role": "assistant", "content": reply.text})


def _read_line() -> str | None:
    """Read a line from the user; None at the end of the input. Ctrl-C starts the line afresh."""
    while True:
        try:
            return input(PROMPT if sys.stdin.isatty() else "").strip()
        except EOFError:
            if sys.stdin.isatty():
                click.echo()
            return None
        except KeyboardInterrupt:
            click.echo(" (Ctrl-D or /exit ends)")
