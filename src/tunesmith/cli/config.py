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
    from tunesmith.settings import masked, settings_with_origins

    warn_of_unknown_variables()
    settings = settings_with_origins(**typed_settings())
    shown = {
        name: {"value": masked(s.value) if name == "database_url" and s.value else _plain(s.value), "origin": s.origin}
        for name, s in settings.items()
    }
    if as_json:
        click.echo(json.dumps(shown))
        return
    for name, entry in shown.items():
        value = entry["value"]
        click.echo(f"{name:<16} {printable(_text(value))}  ({printable(str(entry['origin']))})")


def _plain(value: object) -> object:
    """Return a value as JSON has it."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if value is None:
        return "not set"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
