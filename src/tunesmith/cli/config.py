"""``tunesmith config show``: the settings in force and where each comes from."""

from __future__ import annotations

import json

import click


@click.group()
def command() -> None:
    """Show the settings and where each value comes from."""


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show(ctx: click.Context, *, as_json: bool) -> None:
    """Show each setting, its value and its origin.

    Strongest first: command line, TUNESMITH_* variables, .env, config.yaml in the home, default.
    """
    from tunesmith.cli.terminal import printable, typed_settings, warn_of_unknown_variables
    from tunesmith.settings import settings_with_origins

    warn_of_unknown_variables()
    settings = settings_with_origins(**typed_settings())
    shown = {
        name: {"value": s.value if isinstance(s.value, bool | float) else str(s.value), "origin": s.origin}
        for name, s in settings.items()
    }
    if as_json:
        click.echo(json.dumps(shown))
        return
    for name, entry in shown.items():
        value = entry["value"]
        text = ("yes" if value else "no") if isinstance(value, bool) else printable(str(value))
        click.echo(f"{name:<14} {text}  ({printable(str(entry['origin']))})")
