"""Organisations: whose jobs, data and models they are, how much of them there may be, and who belongs to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from tunesmith.service.accounts.principal import Principal, Role
from tunesmith.spec.errors import BadValue, Conflict, Forbidden, NotFound
from tunesmith.spec.ids import ORGANISATION
from tunesmith.store import accounts
from tunesmith.store.accounts import Member, Organisation

if TYPE_CHECKING:
    from tunesmith.service.context import Service

__all__ = ["Member", "Organisation"]

QUOTAS: Final = ("max_queued", "max_running", "max_device_hours", "max_bytes")
MOST: Final = {"max_queued": 2**31 - 1, "max_running": 2**31 - 1, "max_device_hours": 10**9, "max_bytes": 2**63 - 1}
"""The largest that a quota may be: what its column holds."""
MEMBER_NAME: Final = 128


def ensure(connection: Connection, org: str, service: Service, by: Principal) -> None:
    """Have an organisation there; whoever may act for every organisation makes one by using it.

    Raises:
        BadValue: the name is none that an organisation can have.
        NotFound: there is none, and a key cannot make it.
    """
    if not ORGANISATION.fullmatch(org):
        raise BadValue("org_id", org[:80], "up to 64 letters, digits, - and _, the first a letter or a digit")
    if accounts.organisation(connection, org) is None:
        if not by.is_operator:
            raise NotFound("organisation", org)
        accounts.ensure_organisation(connection, org, service.database.now(connection))


def make(service: Service, by: Principal, org: str) -> None:
    """Have an organisation there, as using it would.

    Raises:
        BadValue: the name is none that an organisation can have.
    """
    with service.database.write() as connection:
        ensure(connection, org, service, by)


def create(
    service: Service, by: Principal, org: str, settings: Mapping[str, float | None] | None = None
) -> Organisation:
    """Make an organisation.

    Raises:
        Forbidden: only the operator does.
        BadValue: the name, a quota or the weight cannot be.
        Conflict: it is there.
    """
    _refuse_others(by)
    values = _checked(settings or {})
    with service.database.write() as connection:
        if accounts.organisation(connection, org) is not None:
            raise Conflict(f"Organisation '{org}' is there already.", "Choose another name.")
        ensure(connection, org, service, by)
        if values:
            accounts.change_organisation(connection, org, **values)
        return _found(connection, org)


def get(service: Service, by: Principal, org: str) -> Organisation:
    """Return an organisation.

    Raises:
        NotFound: there is none, or it is not theirs.
    """
    if not by.sees(org):
        raise NotFound("organisation", org)
    with service.database.read() as connection:
        return _found(connection, org)


def listed(service: Service, by: Principal) -> list[Organisation]:
    """Return the organisations that they may see."""
    with service.database.read() as connection:
        return accounts.all_organisations(connection, by.org)


def change(service: Service, by: Principal, org: str, settings: Mapping[str, float | None]) -> Organisation:
    """Set quotas (None: the server's setting) and the weight of an organisation.

    Raises:
        Forbidden: only the operator does.
        NotFound: there is none.
        BadValue: a value cannot be.
    """
    _refuse_others(by)
    values = _checked(settings)
    with service.database.write() as connection:
        _found(connection, org)
        if values:
            accounts.change_organisation(connection, org, **values)
        return _found(connection, org)


def put_member(service: Service, by: Principal, org: str, name: str, role: Role) -> Member:
    """Make somebody a member of an organisation, or give a member another role; nobody grants more than they have.

    Raises:
        Forbidden: they are no administrator of it.
        NotFound: there is no such organisation.
        BadValue: the name is empty or too long.
    """
    by.needs(Role.ADMIN)
    if not name.strip() or len(name) > MEMBER_NAME or not name.isprintable():
        raise BadValue("name", name[:80], f"1 to {MEMBER_NAME} printable characters")
    get(service, by, org)
    with service.database.write() as connection:
        accounts.put_member(connection, org, name, role.name.lower(), service.database.now(connection))
        member = accounts.member(connection, org, name)
    assert member is not None
    return member


def members_of(service: Service, by: Principal, org: str) -> list[Member]:
    """Return the members of an organisation.

    Raises:
        NotFound: there is no such organisation, or it is not theirs.
    """
    get(service, by, org)
    with service.database.read() as connection:
        return accounts.members_of(connection, org)


def remove_member(service: Service, by: Principal, org: str, name: str) -> None:
    """Remove a member and revoke their keys.

    Raises:
        Forbidden: they are no administrator.
        NotFound: there is no such organisation or member.
    """
    by.needs(Role.ADMIN)
    get(service, by, org)
    with service.database.write() as connection:
        if not accounts.remove_member(connection, org, name, service.database.now(connection)):
            raise NotFound("member", name)


def _refuse_others(by: Principal) -> None:
    by.needs(Role.ADMIN)
    if not by.is_operator:
        raise Forbidden("only the operator makes organisations and sets what they may have")


def _checked(settings: Mapping[str, float | None]) -> dict[str, float | None]:
    for name, value in settings.items():
        if name == "weight":
            if value is None or not (0 < value <= 1000):
                raise BadValue("weight", value, "a number above 0, up to 1000")
        elif name not in QUOTAS:
            raise BadValue("quota", name, f"one of {', '.join((*QUOTAS, 'weight'))}")
        elif value is not None and not (math.isfinite(value) and 0 <= value <= MOST[name]):
            raise BadValue(name, value, f"a number from 0 to {MOST[name]:,}")
        elif value is not None and name != "max_device_hours" and value != int(value):
            raise BadValue(name, value, "a whole number")
    return dict(settings)


def _found(connection: Connection, org: str) -> Organisation:
    found = accounts.organisation(connection, org)
    if found is None:
        raise NotFound("organisation", org)
    return found
