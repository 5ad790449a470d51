"""``tunesmith monitor``: TensorBoard for one run, for an output, or for all runs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from tunesmith.service.system.charts import Charts
    from tunesmith.settings import Settings

CHARTS_PORT: Final = 6006
"""Where TensorBoard is looked for; the next free port where it is taken."""


@click.command()
@click.argument("what", required=False, metavar="[DIR|RUN]")
@click.option("--port", type=click.IntRange(1, 65_535), default=CHARTS_PORT, help="Default: 6006, or the next free.")
def command(*, what: str | None, port: int) -> int:
    """Show the charts of runs in TensorBoard, on this machine only, until Ctrl-C.

    DIR is an output or a model directory: all runs into it are shown. Without DIR or RUN: all runs there are.

    \b
    tunesmith monitor ./lora
    """
    from tunesmith.cli.terminal import current_settings

    return show(what, current_settings(), port=port)


def show(what: str | None, settings: Settings, *, port: int) -> int:
    """Show charts until Ctrl-C; return the exit status."""
    from tunesmith.service.system.charts import Charts, runs_to_show

    runs = runs_to_show(settings, what)
    try:
        with Charts(runs, port=port) as charts:
            charts.wait_until_ready()
            click.echo(f"{len(runs)} run{'s' if len(runs) > 1 else ''}. {where(charts)} Ctrl-C ends it.")
            status = charts.wait()
    except KeyboardInterrupt:
        return 0
    click.echo(f"TensorBoard ended by itself with status {status}.", err=True)
    return status


def where(charts: Charts) -> str:
    """Say where to look, and why not on the port that was asked for."""
    moved = "" if charts.port == charts.asked else f" (port {charts.asked} is taken)"
    return f"TensorBoard: {charts.address}{moved}"


def started(stack: contextlib.ExitStack, charts: Charts) -> bool:
    """Start the charts of a run that is about to begin, and say where; a run does not fail for want of them."""
    from tunesmith.spec.errors import TunesmithError

    try:
        stack.enter_context(charts)
    except TunesmithError as error:
        click.echo(f"Warning: no TensorBoard: {error.message}", err=True)
        return False
    click.echo(where(charts), err=True)
    return True
