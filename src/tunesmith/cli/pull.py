"""``tunesmith pull``: fetch models and data sets by name."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--list", "list_names", is_flag=True, help="Show the short names and what they mean.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, names: tuple[str, ...], list_names: bool, as_json: bool) -> int:
    """Fetch models and data sets: short names, or hub ids such as owner/name.

    What is there already is not fetched again. A pulled name can stand wherever a model or data is asked for.

    \b
    tunesmith pull smollm2-135m-instruct chatterbot-corpus
    """
    if list_names:
        _list(as_json=as_json)
        return 0
    if not names:
        raise click.UsageError("Name what to fetch; `tunesmith pull --list` shows the short names.")
    found = [_pull(name, as_json=as_json) for name in names]
    if as_json:
        click.echo(json.dumps({"pulled": found}))
    return 0


def _list(*, as_json: bool) -> None:
    from tunesmith.cli.terminal import current_settings
    from tunesmith.service.models.aliases import ALIASES
    from tunesmith.service.models.pull import is_pulled

    settings = current_settings()
    rows = [
        {"name": alias.name, "kind": alias.kind, "pulled": is_pulled(alias.name, settings), "licence": alias.licence,
         "origin": alias.origin, "summary": alias.summary}
        for alias in ALIASES.values()
    ]  # fmt: skip
    if as_json:
        click.echo(json.dumps({"names": rows}))
        return
    for row in rows:
        mark = "here" if row["pulled"] else ""
        click.echo(f"{row['name']:<22} {row['kind']:<8} {mark:<5} {row['summary']} ({row['licence']})")


def _pull(name: str, *, as_json: bool) -> dict[str, object]:
    from tunesmith.cli.progress import pulling
    from tunesmith.cli.terminal import current_settings, printable
    from tunesmith.service.models.pull import is_pulled, pull

    settings = current_settings()
    was_there = is_pulled(name, settings)
    with pulling(name, quiet=as_json) as tell:
        path = pull(name, settings, tell)
    if not as_json:
        click.echo(printable(f"{name}: {'already in' if was_there else 'now in'} {path}"))
    return {"name": name, "path": str(path), "already_there": was_there}
