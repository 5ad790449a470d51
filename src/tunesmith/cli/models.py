"""``tunesmith models``: models installed in directories of their own, with scripts that train them and talk to them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tunesmith.service.models.directory import ModelDirectory

_DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.group()
def command() -> None:
    """Install models in directories of their own, with train.sh, start.sh, train_lora.py and llm-installer.

    \b
    tunesmith models install smollm2-135m-instruct
    cd ~/LLM/models/HuggingFaceTB_SmolLM2-135M-Instruct
    ./train.sh --data chat.jsonl
    """


@command.command()
@click.argument("name", required=False, metavar="[NAME|FOLDER|HUB-ID]")
@click.option("--dir", "directory", type=_DIRECTORY, metavar="DIR", help="Default: ~/LLM/models/OWNER_NAME.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def install(*, name: str | None, directory: Path | None, as_json: bool) -> int:
    """Make a model directory; again, to end or renew one (its --dir is enough).

    What is not here is pulled first. Large files are linked, not copied, so that a model takes its room once, and
    removing the pull leaves the directory whole.
    """
    from tunesmith.cli.progress import pulling
    from tunesmith.cli.terminal import current_settings, printable
    from tunesmith.service.models.install import describe
    from tunesmith.service.models.install import install as make

    if name is None and directory is None:
        raise click.UsageError("Name what to install: a name that `tunesmith pull` knows, a folder, or a hub id.")
    with pulling(name or str(directory), quiet=as_json, doing="Installing") as tell:
        made = make(name, current_settings(), tell, directory=directory)
    if as_json:
        click.echo(json.dumps(describe(made)))
    else:
        click.echo(printable(f"{made.model_id} is installed in {made.path}"))
        click.echo(printable(f"Train it:  cd {_quoted(made.path)} && ./train.sh --data FILE"))
    return 0


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, as_json: bool) -> int:
    """List the model directories."""
    from tunesmith.cli.terminal import current_settings, printable
    from tunesmith.service.models.directory import directories
    from tunesmith.service.models.install import describe

    found = [describe(directory) for directory in directories(current_settings())]
    if as_json:
        click.echo(json.dumps({"models": found}))
    elif not found:
        click.echo("No models are installed. Start with: tunesmith models install smollm2-135m-instruct")
    else:
        for told in found:
            state = "" if told["complete"] else "  (not wholly installed)"
            click.echo(printable(f"{told['model_id']:<40} {_size(told):>9}  {told['directory']}{state}"))
    return 0


@command.command()
@click.argument("name", metavar="NAME|DIR")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(*, name: str, as_json: bool) -> int:
    """Show what is installed in a model directory, and what was trained there."""
    from tunesmith.cli.terminal import current_settings, printable
    from tunesmith.service.models.directory import find
    from tunesmith.service.models.install import describe

    told = describe(find(name, current_settings()))
    if as_json:
        click.echo(json.dumps(told))
        return 0
    parameters = told.get("parameters")
    rows = {
        "model": told["model_id"],
        "directory": told["directory"],
        "installed": told.get("installed_at", "") if told["complete"] else _repair(told["directory"]),
        "family": f"{told.get('model_family', '?')} ({told.get('model_type', '?')})",
        "parameters": f"{parameters / 1e6:,.0f} million" if parameters else "?",
        "size": _size(told),
        "trained": ", ".join(told["results"]) or "nothing yet",
    }
    for label, value in rows.items():
        click.echo(printable(f"{label:<11} {value}"))
    return 0


@command.command()
@click.argument("name", metavar="NAME|DIR")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--all", "everything", is_flag=True, help="Also remove adapters and whatever else lies there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def remove(*, name: str, yes: bool, everything: bool, as_json: bool) -> int:
    """Remove an installed model. What you trained, and every file that is yours, stays unless --all."""
    from tunesmith.cli.terminal import current_settings, printable
    from tunesmith.service.models import removal
    from tunesmith.service.models.directory import find

    settings = current_settings()
    directory = find(name, settings)
    plan = removal.planned(directory, everything=everything)
    if not yes and not _agreed(directory, plan.kept, everything=everything):
        click.echo("Nothing was removed.")
        return 0
    model = directory.model_id
    done = removal.remove(directory, settings, everything=everything)
    if as_json:
        click.echo(json.dumps({"removed": model, "directory": str(directory.path), "kept": done.kept}))
    else:
        kept = f" Kept: {', '.join(done.kept)}." if done.kept else ""
        click.echo(printable(f"{model} is removed from {directory.path}.{kept}"))
    return 0


def _agreed(directory: ModelDirectory, kept: list[str], *, everything: bool) -> bool:
    from tunesmith.cli.terminal import printable

    if not sys.stdin.isatty():
        raise click.UsageError("Removing asks first, and there is no terminal to answer from: give --yes.")
    what = "and everything else that lies there" if everything else f"and keep {', '.join(kept) or 'nothing'}"
    return click.confirm(printable(f"Remove {directory.model_id} from {directory.path} {what}?"))


def _size(told: dict[str, Any]) -> str:
    size = told.get("model_size_gb")
    return f"{size:.2f} GB" if isinstance(size, int | float) else "?"


def _repair(directory: str) -> str:
    return f"not wholly; run: tunesmith models install --dir {_quoted(Path(directory))}"


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
