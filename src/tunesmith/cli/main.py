"""``tunesmith``: finds the command that was typed, and turns every error into one sentence and an exit code."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import click

import tunesmith


class Row(NamedTuple):
    """A command: the module that holds it as ``command``, and its line in ``tunesmith --help``."""

    module: str
    summary: str


COMMANDS: Final = {
    "demo": Row("tunesmith.cli.demo", "Train a small model in about two minutes and see what changed."),
    "train": Row("tunesmith.cli.train", "Train a model on your data."),
    "plan": Row("tunesmith.cli.plan", "Show what training would do, and why, without doing it."),
    "data": Row("tunesmith.cli.data", "Check data, and see which tokens are trained."),
    "pull": Row("tunesmith.cli.pull", "Fetch a model or a data set."),
    "models": Row("tunesmith.cli.models", "Install models in directories of their own, with their scripts."),
    "generate": Row("tunesmith.cli.generate", "Answer one prompt, with or without an adapter."),
    "predict": Row("tunesmith.cli.predict", "Show pictures and recordings to a model."),
    "chat": Row("tunesmith.cli.chat", "Talk to a model, with or without an adapter."),
    "evaluate": Row("tunesmith.cli.evaluate", "Measure a model beside the one that it was tuned from."),
    "export": Row("tunesmith.cli.export", "Write a result as an adapter, a whole model or a GGUF file."),
    "runs": Row("tunesmith.cli.runs", "List, follow, pause, resume and cancel runs."),
    "serve": Row("tunesmith.cli.serve", "Answer every API on one port, and run the jobs of the queue."),
    "serve-model": Row("tunesmith.cli.serve_model", "Serve one model, with a page to talk to it."),
    "keys": Row("tunesmith.cli.keys", "Make, list and revoke the keys of the server."),
    "orgs": Row("tunesmith.cli.orgs", "Make organisations and limit what they may have."),
    "monitor": Row("tunesmith.cli.monitor", "Show the charts of runs in TensorBoard."),
    "config": Row("tunesmith.cli.config", "Show the settings and where each value comes from."),
    "doctor": Row("tunesmith.cli.doctor", "Check that this machine is ready."),
    "completion": Row("tunesmith.cli.completion", "Print the completion script of a shell."),
}
"""Every command, in the order in which the help lists them."""

INTERRUPTED: Final = 130
"""Exit status of a command that Ctrl-C ended (128 + SIGINT, as shells count)."""
PIPE_CLOSED: Final = 1
"""Exit status when the reader of our output went away; click, which usually notices first, uses the same."""
OF_SERVER: Final = ("alembic", "fastapi", "prometheus_client", "sqlalchemy", "uvicorn", "websockets")
"""Packages that come with the extra ``serve``."""
UNUSABLE: Final = 78
"""Exit status when the operating system refuses a file."""


class CommandTable(click.Group):
    """A group that imports a command only when it is called; its help comes from ``COMMANDS`` alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        row = COMMANDS.get(cmd_name)
        if row is None:
            return None
        command = importlib.import_module(row.module).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments start with.

        Raises:
            UnknownName: no command has this name.
        """
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from tunesmith.spec.errors import UnknownName

            raise UnknownName("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands' rows."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.summary) for name, row in COMMANDS.items()])


@click.group(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(tunesmith.__version__, message="tunesmith %(version)s")
@click.option("--home", type=click.Path(path_type=Path), metavar="DIR", help="Where runs, models and caches live.")
@click.option("--offline/--online", default=None, help="Make any need of the network an error.")
@click.pass_context
def command_line(ctx: click.Context, home: Path | None, offline: bool | None) -> None:
    """Turn data into a better model, on your own machines.

    Start with `tunesmith demo`, then: tunesmith train --model NAME --data FILE
    """
    ctx.obj = {"home": home, "offline": offline}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = command_line.main(typed, prog_name="tunesmith", standalone_mode=False)
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return PIPE_CLOSED
    except Exception as error:
        status = _explain(error, as_json="--json" in typed)
        if status is None:
            raise
        return status
    return result if isinstance(result, int) else 0


def _explain(error: Exception, *, as_json: bool) -> int | None:
    """Say in one sentence what was wrong and return the exit status; None if the fault is the program's own."""
    from tunesmith.spec.errors import PackageMissing, TunesmithError
    from tunesmith.spec.wrong_values import translated

    if isinstance(error, click.exceptions.NoArgsIsHelpError) and not as_json:
        click.echo(error.format_message(), err=True)  # The help itself: a group was typed without a command of it.
        return error.exit_code
    if isinstance(error, click.ClickException):
        return report("usage", " ".join(error.format_message().split()), error.exit_code, as_json=as_json)
    if isinstance(error, ModuleNotFoundError) and (package := (error.name or "").partition(".")[0]) in OF_SERVER:
        error = PackageMissing(package, "serve")
    known = error if isinstance(error, TunesmithError) else translated(error)
    if known is not None:
        return report(known.code, known.message, known.exit_code, as_json=as_json)
    if isinstance(error, OSError):
        message = f"{error.filename or 'The system'}: {error.strerror or error}."
        return report("system", message, UNUSABLE, as_json=as_json)
    return None


def report(code: str, message: str, exit_code: int, *, as_json: bool) -> int:
    """Print an error for people, and with ``--json`` also for programs; return the exit status."""
    from tunesmith.cli.terminal import printable

    click.echo(f"Error: {printable(message)}", err=True)
    if as_json:
        click.echo(json.dumps({"error": {"code": code, "message": message}}))
    return exit_code


def _forget_output() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not complain of the closed pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run() -> NoReturn:
    """Leave the process with the exit status of ``main``."""
    sys.exit(main())


if __name__ == "__main__":
    run()
