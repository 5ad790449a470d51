"""``tunesmith runs compare``: runs side by side."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from tunesmith.service.jobs.compare import Compared


@click.command()
@click.argument("names", metavar="RUN RUN...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(*, names: tuple[str, ...], as_json: bool) -> None:
    """Put runs side by side: the settings that differ, and what came of them."""
    from tunesmith.cli.terminal import console, current_settings
    from tunesmith.service.jobs.compare import compare as side_by_side
    from tunesmith.service.jobs.index import find

    if len(names) < 2:
        raise click.UsageError("Name at least two runs; `tunesmith runs list` shows them.")
    settings = current_settings()
    found = side_by_side([find(settings, name) for name in names])
    if as_json:
        told = {**asdict(found), "runs": [run.model_dump(mode="json") for run in found.runs]}
        click.echo(json.dumps(told))
        return
    screen = console()
    screen.print(_table(found))
    for sentence in found.warnings:
        click.echo(f"Note: {sentence}")


def _table(found: Compared) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    table.add_column("", no_wrap=True)
    for run in found.runs:
        table.add_column(run.id, overflow="fold")
    for name, values in found.settings.items():
        table.add_row(_short(name), *(_shown(name, value) for value in values))
    if found.settings:
        table.add_section()
    for name, values in found.results.items():
        best = found.best.get(name)
        cells = [Text(_shown(name, value), "bold green" if place == best else "") for place, value in enumerate(values)]
        if best is not None:
            cells[best].append(" *")
        table.add_row(name.removesuffix(" bytes"), *cells)
    if found.best:
        table.caption = "* best"
    return table


def _short(path: str) -> str:
    return path.removeprefix("recipe.").replace("_", " ")


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name == "seconds":
        return f"{value:,.0f}"
    if name.endswith("bytes"):
        return f"{value / 1e9:.2f} GB"
    if isinstance(value, float) and "loss" in name:
        return f"{value:.4f}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if name == "datasets" and isinstance(value, list):
        return ", ".join(str(entry.get("uri")) for entry in value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
