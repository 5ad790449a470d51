"""Organisations: whose jobs, data and models they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection

from tunesmith.service.accounts.principal import Principal
from tunesmith.spec.errors import BadValue
from tunesmith.spec.ids import ORGANISATION
from tunesmith.store import accounts

if TYPE_CHECKING:
    from tunesmith.service.context import Service


def ensure(connection: Connection, org: str, service: Service, by: Principal) -> None:
    """Have an organisation there; whoever may act for every organisation makes one by using it.

    Raises:
        BadValue: the name is none that an organisation can have.
    """
    if not ORGANISATION.fullmatch(org):
        raise BadValue("org_id", org, "up to 64 letters, digits, - and _, the first a letter or a digit")
    accounts.ensure_organisation(connection, org, service.database.now(connection))
