"""``tunesmith doctor``: is this machine ready?"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Final

import click

FAULTY: Final = 78
"""Exit status when a check found a fault."""
COLORS: Final = {"ok": "green", "warning": "yellow", "fault": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, as_json: bool) -> int:
    """Check that this machine is ready: packages, torch, memory, disk, home, hub.

    A warning is something to know; a fault is something to mend, and ends with exit status 78.
    """
    import os

    from tunesmith.cli.terminal import current_settings, printable
    from tunesmith.service.system.doctor import Check, State, examine

    checks: list[Check] = []
    colors = "NO_COLOR" not in os.environ
    for check in examine(current_settings()):
        checks.append(check)
        if not as_json:
            state = click.style(f"{check.state:<8}", fg=COLORS[check.state]) if colors else f"{check.state:<8}"
            click.echo(f"{state} {check.name:<10} {printable(check.found)}")
            if check.advice:
                click.echo(f"{'':<20}{printable(check.advice)}")
    faulty = any(check.state is State.FAULT for check in checks)
    if as_json:
        click.echo(json.dumps({"ok": not faulty, "checks": [asdict(check) for check in checks]}))
    return FAULTY if faulty else 0
