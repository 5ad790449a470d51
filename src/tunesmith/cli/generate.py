"""``tunesmith generate``: one answer from a model, with or without an adapter."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunesmith.cli.text_option import NOT_UTF8, is_whole, keep_bad_bytes, whole_text

if TYPE_CHECKING:
    from tunesmith.service.serving.session import Session


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that say who answers, and how freely."""
    flags = (
        click.option(
            "--model",
            metavar="MODEL",
            help="Folder, pulled name, hub id, run, or what a server calls it. Default: the adapter's base.",
        ),
        click.option("--adapter", type=click.Path(path_type=Path), metavar="DIR", help="Folder of a trained adapter."),
        click.option("--checkpoint", metavar="STEP", help="Ask a checkpoint of the run: its step, best or last."),
        click.option(
            "--system", type=whole_text, metavar="TEXT", help="What the model is told before the conversation."
        ),
        click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="Longest answer. Default: 256."),
        click.option("--temperature", type=click.FloatRange(0, 10), metavar="T", help="0 takes the likeliest word."),
        click.option("--top-p", type=click.FloatRange(0, 1), metavar="P", help="Draw among the likeliest P of 1."),
        click.option("--seed", type=int, metavar="N", help="Makes a drawn answer repeatable."),
    )
    for flag in reversed(flags):
        command = flag(command)
    return command


@click.command()
@model_options
@click.option("--prompt", type=whole_text, metavar="TEXT", help="The question. Default: what stdin holds.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
def command(
    *,
    model: str | None,
    adapter: Path | None,
    checkpoint: str | None,
    system: str | None,
    prompt: str | None,
    as_json: bool,
    **sampling: Any,
) -> int:
    """Answer one prompt, with or without an adapter. The same prompt gets the same answer, unless --temperature.

    \b
    tunesmith generate --model smollm2-135m-instruct --prompt "What is the capital of France?"
    tunesmith generate --adapter ./lora < question.txt
    tunesmith generate --model faq --checkpoint 200 --prompt "When do you open?"
    """
    messages = [*opening(system), {"role": "user", "content": prompt if prompt is not None else _from_stdin()}]
    with session(model, adapter, checkpoint) as served:
        reply = served.chat(messages, **typed(sampling))
        if as_json:
            text = "".join(reply)
            said = {"model": served.model, "text": text, "finish_reason": reply.finish_reason, "usage": reply.usage}
            click.echo(json.dumps(said))
        else:
            show(reply)
    return 0


@contextlib.contextmanager
def session(model: str | None, adapter: Path | None, checkpoint: str | None) -> Iterator[Session]:
    """Load the model in a process of its own unless a server has it, saying so on a terminal."""
    if model is None and adapter is None:
        raise click.UsageError("Name who answers: --model MODEL, or --adapter DIR.")
    if checkpoint is not None and (model is None or adapter is not None):
        raise click.UsageError("--checkpoint is one of a run: give it beside --model RUN, without --adapter.")
    from tunesmith.cli.terminal import current_settings, printable
    from tunesmith.service.serving.sought import session_with

    with contextlib.ExitStack() as stack:
        with _loading():
            served = stack.enter_context(session_with(current_settings(), model, adapter, checkpoint))
        for note in served.notes:
            click.echo(f"Warning: {printable(note)}", err=True)
        yield served


@contextlib.contextmanager
def _loading() -> Iterator[None]:
    """Say on a terminal what is waited for, and take it back."""
    told = sys.stderr.isatty()
    if told:
        click.echo("Loading the model ...", err=True, nl=False)
    try:
        yield
    finally:
        if told:
            click.echo("\r\x1b[K", err=True, nl=False)


def opening(system: str | None) -> list[dict[str, str]]:
    """Return how a conversation begins."""
    return [] if system is None else [{"role": "system", "content": system}]


def typed(sampling: dict[str, Any]) -> dict[str, Any]:
    """Keep what was typed; the model server has the defaults."""
    return {name: value for name, value in sampling.items() if value is not None}


def show(pieces: Iterator[str]) -> None:
    """Print an answer as it comes, safely."""
    from tunesmith.cli.terminal import printable

    for piece in pieces:
        click.echo(printable(piece), nl=False)
    click.echo()


def _from_stdin() -> str:
    if sys.stdin.isatty():
        click.echo("Type the prompt; end it with Ctrl-D.", err=True)
    keep_bad_bytes()
    text = sys.stdin.read().strip()
    if not is_whole(text):
        raise click.UsageError(f"The prompt {NOT_UTF8}")
    if not text:
        raise click.UsageError("The prompt is empty: give --prompt TEXT, or write it to stdin.")
    return text
