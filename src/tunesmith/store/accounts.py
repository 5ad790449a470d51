"""Organisations, their members and keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, or_, select, text, update

from tunesmith.store import tables
from tunesmith.store.conflicts import insert_unless_there

organisations, members, keys = tables.organisations, tables.members, tables.keys
USED_EVERY: Final = 60.0
"""Seconds within which the use of a key is noted once."""


@dataclass(frozen=True)
class Organisation:
    """Whose jobs, data and models they are, and how much of them there may be; None: the server's setting holds."""

    id: str
    created_at: float
    weight: float
    """Its share of device time, beside the shares of others."""
    max_queued: int | None
    max_running: int | None
    max_device_hours: float | None
    max_bytes: int | None
    serves: str | None
    """The job whose model answers for it; None: the newest that succeeded."""


@dataclass(frozen=True)
class Member:
    """Somebody of an organisation; no key of theirs may do more than their role."""

    org: str
    name: str
    role: str
    created_at: float


@dataclass(frozen=True)
class Key:
    """A key as it is kept: never the secret itself."""

    id: str
    org: str | None
    """None: an operator's, good for every organisation."""
    member: str | None
    role: str
    prefix: str
    """How the secret begins, to tell keys apart."""
    label: str
    created_at: float
    used_at: float | None
    revoked_at: float | None


def ensure_organisation(connection: Connection, id: str, now: float) -> None:
    """Make an organisation unless it is there."""
    if organisation(connection, id) is None:
        insert_unless_there(connection, organisations, id=id, created_at=now, weight=1.0)


def organisation(connection: Connection, id: str) -> Organisation | None:
    """Return an organisation; None if there is none of that id."""
    row = connection.execute(select(organisations).where(organisations.c.id == id)).one_or_none()
    return Organisation(**row._mapping) if row is not None else None


def all_organisations(connection: Connection, only: str | None = None) -> list[Organisation]:
    """Return every organisation, or the one that is named, by id."""
    chosen = select(organisations).order_by(organisations.c.id)
    if only is not None:
        chosen = chosen.where(organisations.c.id == only)
    return [Organisation(**row._mapping) for row in connection.execute(chosen)]


def change_organisation(connection: Connection, id: str, **values: Any) -> bool:
    """Set columns of an organisation; False if there is none of that id."""
    return connection.execute(update(organisations).where(organisations.c.id == id).values(**values)).rowcount == 1


def hold(connection: Connection, id: str) -> Organisation | None:
    """Return an organisation and keep others from counting what it has until this transaction ends."""
    if connection.dialect.name != "sqlite":  # There, whoever writes is alone anyway.
        connection.execute(text("SELECT 1 FROM organisations WHERE id = :id FOR UPDATE"), {"id": id})
    return organisation(connection, id)


def put_member(connection: Connection, org: str, name: str, role: str, now: float) -> None:
    """Make somebody a member, or give a member another role."""
    insert_unless_there(connection, members, org=org, name=name, role=role, created_at=now)
    which = (members.c.org == org) & (members.c.name == name)
    connection.execute(update(members).where(which).values(role=role))


def member(connection: Connection, org: str, name: str) -> Member | None:
    """Return a member; None if there is none of that name."""
    chosen = select(members).where((members.c.org == org) & (members.c.name == name))
    row = connection.execute(chosen).one_or_none()
    return Member(**row._mapping) if row is not None else None


def members_of(connection: Connection, org: str) -> list[Member]:
    """Return the members of an organisation, by name."""
    chosen = select(members).where(members.c.org == org).order_by(members.c.name)
    return [Member(**row._mapping) for row in connection.execute(chosen)]


def remove_member(connection: Connection, org: str, name: str, now: float) -> bool:
    """Remove a member and revoke their keys; False if there is none of that name."""
    mine = (keys.c.org == org) & (keys.c.member == name) & keys.c.revoked_at.is_(None)
    connection.execute(update(keys).where(mine).values(revoked_at=now))
    gone = connection.execute(delete(members).where((members.c.org == org) & (members.c.name == name)))
    return gone.rowcount == 1


_SHOWN: Final = [column for column in keys.c if column.name != "hash"]


def add_key(connection: Connection, key: Key, hash: str) -> None:
    """Store a key under the hash of its secret."""
    connection.execute(insert(keys).values(**vars(key), hash=hash))


def key_by_hash(connection: Connection, hash: str) -> Key | None:
    """Return the key whose secret has this hash, unless it was revoked."""
    chosen = select(*_SHOWN).where((keys.c.hash == hash) & keys.c.revoked_at.is_(None))
    row = connection.execute(chosen).one_or_none()
    return Key(**row._mapping) if row is not None else None


def key(connection: Connection, id: str) -> Key | None:
    """Return a key; None if there is none of that id."""
    row = connection.execute(select(*_SHOWN).where(keys.c.id == id)).one_or_none()
    return Key(**row._mapping) if row is not None else None


def all_keys(connection: Connection, org: str | None = None) -> list[Key]:
    """Return the keys, or those of one organisation, the oldest first; revoked ones too."""
    chosen = select(*_SHOWN).order_by(keys.c.created_at, keys.c.id)
    if org is not None:
        chosen = chosen.where(keys.c.org == org)
    return [Key(**row._mapping) for row in connection.execute(chosen)]


def live_keys(connection: Connection) -> int:
    """Return how many keys open something."""
    return int(connection.execute(select(func.count()).where(keys.c.revoked_at.is_(None))).scalar_one())


def revoke_key(connection: Connection, id: str, now: float) -> bool:
    """Revoke a key; False if it was revoked already."""
    which = (keys.c.id == id) & keys.c.revoked_at.is_(None)
    return connection.execute(update(keys).where(which).values(revoked_at=now)).rowcount == 1


def note_use(connection: Connection, id: str, now: float) -> None:
    """Note that a key was used just now, unless that was noted within the last minute."""
    old = or_(keys.c.used_at.is_(None), keys.c.used_at < now - USED_EVERY)
    connection.execute(update(keys).where((keys.c.id == id) & old).values(used_at=now))
