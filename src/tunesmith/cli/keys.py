"""``tunesmith keys``: who may call the server. Works on the database itself: whoever runs it here is the operator."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tunesmith.service.accounts.keys import Key

ROLES = click.Choice(["viewer", "member", "admin"])


@click.group()
def command() -> None:
    """Make, list and revoke the keys with which programs and people call the server.

    While there is no key, everybody on this machine may; from the first one on, every call needs one.
    """


@command.command()
@click.option("--org", metavar="ORG", help="The organisation it is good for; it is made if it is not there.")
@click.option(
    "--role",
    type=ROLES,
    default="member",
    show_default=True,
    help="viewer: look; member: submit and steer jobs; admin: manage keys too.",
)
@click.option("--operator", is_flag=True, help="A key for every organisation, and to make and limit them.")
@click.option("--member", metavar="NAME", help="Whose key it is: it never may more than this member of ORG.")
@click.option("--label", default="", metavar="TEXT", help="What it is for.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(*, org: str | None, role: str, operator: bool, member: str | None, label: str, as_json: bool) -> int:
    """Make a key and show it, once."""
    from tunesmith.cli.service import opened
    from tunesmith.cli.terminal import printable
    from tunesmith.service.accounts import keys, organisations
    from tunesmith.service.accounts.principal import OPERATOR, Role
    from tunesmith.spec.errors import Contradiction
    from tunesmith.spec.ids import DEFAULT_ORGANISATION

    if operator and org:
        raise Contradiction("--operator", "--org")
    wanted = None if operator else org or DEFAULT_ORGANISATION
    with opened() as service:
        first = not keys.in_force(service)
        if wanted is not None:
            organisations.make(service, OPERATOR, wanted)
        granted = Role.ADMIN if operator else Role[role.upper()]
        key, secret = keys.create(service, OPERATOR, org=wanted, role=granted, label=label, member=member)
    if as_json:
        click.echo(json.dumps({**_facts(key), "key": secret}))
        return 0
    click.echo(secret)
    whom = f"organisation {key.org}" if key.org else "every organisation"
    click.echo(printable(f"Key {key.id}: {key.role} of {whom}. It is not shown again."), err=True)
    if first:
        click.echo("It is the first one: from now on every call needs a key.", err=True)
    return 0


@command.command("list")
@click.option("--org", metavar="ORG", help="Only those of one organisation.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, org: str | None, as_json: bool) -> int:
    """List the keys; a key itself is never shown."""
    from tunesmith.cli.service import opened
    from tunesmith.service.accounts import keys
    from tunesmith.service.accounts.principal import OPERATOR

    with opened() as service:
        found = keys.listed(service, OPERATOR, org)
    if as_json:
        click.echo(json.dumps({"keys": [_facts(key) for key in found]}))
    elif not found:
        click.echo("There are no keys: everybody on this machine may call the server. Make one: tunesmith keys create")
    else:
        _print(found)
    return 0


@command.command()
@click.argument("id", metavar="KEY-ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def revoke(*, id: str, as_json: bool) -> int:
    """Have a key open nothing any more, from this moment on (a running server notices within two seconds)."""
    from tunesmith.cli.service import opened
    from tunesmith.service.accounts import keys
    from tunesmith.service.accounts.principal import OPERATOR

    with opened() as service:
        key = keys.revoke(service, OPERATOR, id)
        others = keys.in_force(service)
    if as_json:
        click.echo(json.dumps(_facts(key)))
        return 0
    click.echo(f"Key {key.id} is revoked.")
    if not others:
        click.echo("It was the last one: everybody on this machine may call the server again.", err=True)
    return 0


def _facts(key: Key) -> dict[str, Any]:
    return dict(vars(key))


def _print(found: Sequence[Key]) -> None:
    from tunesmith.cli.runs import ago
    from tunesmith.cli.service import table

    rows = [
        (
            key.id,
            key.prefix + "...",
            key.org or "every",
            key.role,
            key.member or "",
            "revoked" if key.revoked_at else ago(key.used_at) if key.used_at else "never",
            key.label,
        )
        for key in found
    ]
    table(("key", "begins", "org", "role", "member", "used", "for"), rows)
