"""``tunesmith serve``: every API on one port, and the jobs of its queue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to listen on; 0 takes a free one.  [default: 8000]")
@click.option("--role", type=click.Choice(["api", "worker", "all"]), help="Answer requests, run jobs, or both.")
@click.option("--device", type=click.Choice(["cpu", "gpu", "any"]), help="Which jobs to take on.")
@click.option("--cpu-slots", type=click.IntRange(min=0), help="Jobs that run on the CPU at once.  [default: 1]")
@click.option(
    "--trusted-network",
    metavar="HOST,...",
    multiple=True,
    help="Host names under which anybody may call without a key, while there are no keys.",
)
@click.option(
    "--allowed-path",
    "allowed_paths",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A folder that requests with a key may name besides those of their organisation.",
)
@click.option("--database-url", metavar="URL", help="postgresql://... to share the queue between machines.")
def command(**typed: Any) -> None:
    """Answer every API on one port and run the jobs of the queue, until Ctrl-C; runs go on without it.

    \b
    tunesmith serve
    tunesmith serve --port 8001 --device cpu --cpu-slots 2
    """
    from tunesmith.cli.terminal import printable, typed_settings, warn_of_unknown_variables
    from tunesmith.settings import load_settings

    warn_of_unknown_variables()
    settings = load_settings(**typed_settings(), **given(typed))
    from tunesmith.api.server import serve

    serve(settings, lambda line: click.echo(printable(line)))


def given(typed: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that were typed; hosts may stand in one word, with commas."""
    given = {name: value for name, value in typed.items() if value is not None and value != ()}
    if "trusted_network" in given:
        words = ",".join(given["trusted_network"]).split(",")
        given["trusted_network"] = [word.strip() for word in words if word.strip()]
    if "allowed_paths" in given:
        given["allowed_paths"] = list(given["allowed_paths"])
    return given
