"""``tunesmith doctor``: is this machine ready, and mend what is not."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunesmith.service.system.doctor import Check
    from tunesmith.service.system.mending import Step
    from tunesmith.settings import Settings

FAULTY: Final = 78
"""Exit status when a check found a fault."""
COLORS: Final = {"ok": "green", "warning": "yellow", "fault": "red"}


@click.command()
@click.option("--fix", is_flag=True, help="Mend what can be mended: packages, a broken torchvision, leftovers.")
@click.option("--fix-torch", is_flag=True, help="Also install torch again, or take out a torchvision that breaks it.")
@click.option("--fix-cuda", is_flag=True, help="Also install again what has to match the graphics driver.")
@click.option("--reinstall", is_flag=True, help="Also install all packages again, in the versions that are there.")
@click.option("--dry-run", is_flag=True, help="With --fix: only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, as_json: bool, dry_run: bool, **asked: bool) -> int:
    """Check that this machine is ready: packages, torch, memory, disk, home, hub.

    A warning is something to know; a fault is something to mend, and ends with exit status 78.
    """
    from tunesmith.cli.terminal import current_settings
    from tunesmith.service.system.doctor import State, examine

    settings = current_settings()
    checks: list[Check] = []
    for check in examine(settings):
        checks.append(check)
        if not as_json:
            _show(check)
    fixed = _mend(_steps(checks, settings, asked), dry_run=dry_run, quiet=as_json) if any(asked.values()) else None
    if fixed and not dry_run and all(step["done"] for step in fixed):
        checks = list(examine(settings))
    faulty = any(check.state is State.FAULT for check in checks)
    if as_json:
        told: dict[str, Any] = {"ok": not faulty, "checks": [asdict(check) for check in checks]}
        click.echo(json.dumps(told if fixed is None else {**told, "fixes": fixed}))
    elif fixed is not None:
        _conclude(fixed, checks, faulty=faulty, dry_run=dry_run)
    return FAULTY if faulty or any(step["error"] for step in fixed or ()) else 0


def _steps(checks: Sequence[Check], settings: Settings, asked: dict[str, bool]) -> list[Step]:
    """Collect what is to be done: what was asked for by name, and the remedies of what is not right."""
    from tunesmith.service.system import mending
    from tunesmith.service.system.doctor import State

    wrong = [check.name for check in checks if check.state is not State.OK]
    steps = [step for name in wrong for step in mending.steps_for(name, settings)]
    if asked["fix_torch"] and "torch" not in wrong:
        steps += mending.mend_torch()
    if asked["fix_cuda"]:
        steps += mending.mend_cuda()
    if asked["reinstall"]:
        steps += mending.reinstall_everything()
    return list({step.told: step for step in steps}.values())


def _mend(steps: Sequence[Step], *, dry_run: bool, quiet: bool) -> list[dict[str, Any]]:
    """Do the steps, or only tell them; one that fails does not keep the others from being done."""
    from tunesmith.service.system.mending import MendingFailed

    done: list[dict[str, Any]] = []
    for step in steps:
        if not quiet:
            click.echo(f"{'would ' if dry_run else ''}{step.told}")
        error = ""
        if not dry_run:
            try:
                step.do()
            except MendingFailed as failure:
                error = str(failure)
                if not quiet:
                    click.echo(f"  it failed: {error}", err=True)
        done.append({"step": step.told, "done": not dry_run and not error, "error": error})
    return done


def _conclude(fixed: Sequence[dict[str, Any]], checks: Sequence[Check], *, faulty: bool, dry_run: bool) -> None:
    if not fixed:
        click.echo("Nothing to mend." if not faulty else "Nothing here that tunesmith can mend by itself.")
    elif not dry_run and not any(step["error"] for step in fixed):
        left = [check.name for check in checks if check.state == "fault"]
        click.echo(f"Mended; still not right: {', '.join(left)}." if left else "Mended.")


def _show(check: Check) -> None:
    import os

    from tunesmith.cli.terminal import printable

    plain = f"{check.state:<8}"
    state = plain if "NO_COLOR" in os.environ else click.style(plain, fg=COLORS[check.state])
    click.echo(f"{state} {check.name:<12} {printable(check.found)}")
    if check.advice:
        click.echo(f"{'':<22}{printable(check.advice)}")
