"""``tunesmith orgs``: organisations, what they may have, and who belongs to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from tunesmith.cli.keys import ROLES

if TYPE_CHECKING:
    from tunesmith.service.accounts.organisations import Organisation

UNSET = "none"
"""What is typed to have the server's setting hold again."""


@click.group()
def command() -> None:
    """Make organisations, limit what they may have, and say who belongs to them.

    No organisation sees another's jobs, data, models or answers.
    """


class _Limit(click.ParamType[float | str]):
    """A number, or none."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """Read a number; whole ones stay whole."""
        if value == UNSET:
            return UNSET
        try:
            return int(value)
        except ValueError:
            pass
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor {UNSET}.", param, ctx)


def _limits(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags of what an organisation may have."""
    texts = {
        "--max-bytes": "Bytes of data and models.",
        "--max-device-hours": "Device-hours in 30 days.",
        "--max-running": "Running jobs.",
        "--max-queued": "Queued jobs.",
        "--weight": "Share of device time beside the shares of others.",
    }
    for flag, text in texts.items():
        metavar = "NUMBER" if flag == "--weight" else "NUMBER|none"
        function = click.option(flag, type=_Limit(), metavar=metavar, help=text)(function)
    return function


@command.command()
@click.argument("org")
@_limits
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(*, org: str, as_json: bool, **limits: float | str | None) -> int:
    """Make an organisation; what is left out follows the server's settings."""
    from tunesmith.cli.service import opened
    from tunesmith.service.accounts import organisations
    from tunesmith.service.accounts.principal import OPERATOR

    with opened() as service:
        made = organisations.create(service, OPERATOR, org, _typed(limits))
    click.echo(json.dumps(vars(made)) if as_json else f"Organisation {made.id} is made.")
    return 0


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, as_json: bool) -> int:
    """List the organisations and what they may have."""
    from tunesmith.cli.service import opened, table
    from tunesmith.service.accounts import organisations
    from tunesmith.service.accounts.principal import OPERATOR

    with opened() as service:
        found = organisations.listed(service, OPERATOR)
    if as_json:
        click.echo(json.dumps({"organisations": [vars(org) for org in found]}))
    elif not found:
        click.echo("There are no organisations. The first job makes one called default.")
    else:
        table(("organisation", "weight", "queued", "running", "device-hours", "bytes"), map(_row, found))
    return 0


@command.command()
@click.argument("org")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(*, org: str, as_json: bool) -> int:
    """Show an organisation, what it may have, and its members."""
    from tunesmith.cli.service import opened
    from tunesmith.cli.terminal import printable
    from tunesmith.service.accounts import organisations
    from tunesmith.service.accounts.principal import OPERATOR

    with opened() as service:
        found = organisations.get(service, OPERATOR, org)
        members = organisations.members_of(service, OPERATOR, org)
    if as_json:
        click.echo(json.dumps({**vars(found), "members": [vars(member) for member in members]}))
        return 0
    for name, value in vars(found).items():
        if name != "created_at":
            unset = "its newest model" if name == "serves" else "the server setting"
            click.echo(printable(f"{name.replace('_', ' '):<17} {unset if value is None else value}"))
    who = ", ".join(f"{member.name} ({member.role})" for member in members) or "nobody"
    click.echo(printable(f"{'members':<17} {who}"))
    return 0


@command.command("set")
@click.argument("org")
@_limits
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def set_(*, org: str, as_json: bool, **limits: float | str | None) -> int:
    """Change what an organisation may have; none: the server's setting holds again."""
    from tunesmith.cli.service import opened
    from tunesmith.service.accounts import organisations
    from tunesmith.service.accounts.principal import OPERATOR

    typed = _typed(limits)
    if not typed:
        raise click.UsageError("Name what to change, such as --max-running 2.")
    with opened() as service:
        found = organisations.change(service, OPERATOR, org, typed)
    click.echo(json.dumps(vars(found)) if as_json else f"Organisation {found.id} is changed.")
    return 0


@command.group()
def members() -> None:
    """Say who belongs to an organisation; no key of theirs may do more than their role."""


@members.command("add")
@click.argument("org")
@click.argument("name")
@click.option("--role", type=ROLES, default="member", show_default=True, help="The most that their keys may do.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add(*, org: str, name: str, role: str, as_json: bool) -> int:
    """Make somebody a member, or give a member another role."""
    from tunesmith.cli.service import opened
    from tunesmith.cli.terminal import printable
    from tunesmith.service.accounts import organisations
    from tunesmith.service.accounts.principal import OPERATOR, Role

    with opened() as service:
        member = organisations.put_member(service, OPERATOR, org, name, Role[role.upper()])
    said = printable(f"{member.name} is {member.role} of {member.org}.")
    click.echo(json.dumps(vars(member)) if as_json else said)
    return 0


@members.command("remove")
@click.argument("org")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def remove(*, org: str, name: str, as_json: bool) -> int:
    """Remove a member and revoke their keys."""
    from tunesmith.cli.service import opened
    from tunesmith.cli.terminal import printable
    from tunesmith.service.accounts import organisations
    from tunesmith.service.accounts.principal import OPERATOR

    with opened() as service:
        organisations.remove_member(service, OPERATOR, org, name)
    said = printable(f"{name} is no member of {org} any more; their keys are revoked.")
    click.echo(json.dumps({"org": org, "name": name, "removed": True}) if as_json else said)
    return 0


def _typed(limits: dict[str, float | str | None]) -> dict[str, Any]:
    return {name: None if value == UNSET else value for name, value in limits.items() if value is not None}


def _row(org: Organisation) -> tuple[str, ...]:
    limits = (org.max_queued, org.max_running, org.max_device_hours, org.max_bytes)
    return (org.id, f"{org.weight:g}", *("setting" if limit is None else f"{limit:,}" for limit in limits))
