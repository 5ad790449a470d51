"""Keys: made once, shown once, kept as a hash, and good for an organisation and a role."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy.exc import SQLAlchemyError

from tunesmith.service.accounts.principal import Principal, Role
from tunesmith.service.context import Service
from tunesmith.spec.errors import BadValue, Conflict, DatabaseUnusable, Forbidden, NotFound, Unauthenticated
from tunesmith.spec.ids import new_id
from tunesmith.store import accounts
from tunesmith.store.accounts import Key
from tunesmith.store.database import Database

__all__ = ["Key"]

PREFIX: Final = "ts_"
SHOWN: Final = 8
"""Characters of a secret that are kept in plain."""
FRESH: Final = 2.0
"""Seconds for which an answer of the database is good: within this time a revoked key stops working."""
MOST: Final = 10_000
"""Secrets whose answers are remembered, at most."""
LABEL: Final = 128


def create(
    service: Service, by: Principal, *, org: str | None, role: Role, label: str = "", member: str | None = None
) -> tuple[Key, str]:
    """Make a key; return it with its secret, which nobody can see again.

    Raises:
        Forbidden: they may not make keys, or not such ones: nobody grants more than they have.
        BadValue: an operator's key with a role below admin, or a label that is too long.
        NotFound: there is no such organisation, or no such member in it.
    """
    by.needs(Role.ADMIN)
    if org is None and not by.is_operator:
        raise Forbidden("only the operator makes keys for every organisation")
    if org is None and role is not Role.ADMIN:
        raise BadValue("role", role.name.lower(), "admin for a key without an organisation")
    if len(label) > LABEL:
        raise BadValue("label", label[:40] + "...", f"up to {LABEL} characters")
    if org is not None:
        by.acting_for(org)
    secret = PREFIX + secrets.token_urlsafe(32)
    with service.database.write() as connection:
        if org is not None and accounts.organisation(connection, org) is None:
            raise NotFound("organisation", org)
        if member is not None and (org is None or accounts.member(connection, org, member) is None):
            raise NotFound("member", member)
        now = service.database.now(connection)
        key = Key(new_id("key-"), org, member, role.name.lower(), secret[: len(PREFIX) + SHOWN], label, now, None, None)
        accounts.add_key(connection, key, _hash(secret))
    _forget(service)
    return key, secret


def listed(service: Service, by: Principal, org: str | None = None) -> list[Key]:
    """Return the keys of their organisation, or of all to the operator; never a secret.

    Raises:
        Forbidden: they are no administrator, or ask for another organisation's.
    """
    by.needs(Role.ADMIN)
    wanted = by.acting_for(org) if org is not None else by.org
    with service.database.read() as connection:
        return accounts.all_keys(connection, wanted)


def revoke(service: Service, by: Principal, id: str) -> Key:
    """Have a key open nothing any more.

    The last key is the operator's to revoke: without any, whoever reaches the server is taken for the operator, so an
    administrator of one organisation could become that of all.

    Raises:
        Forbidden: they are no administrator.
        NotFound: there is no such key in their organisation.
        Conflict: it is the last one of the server, and they are not the operator.
    """
    by.needs(Role.ADMIN)
    with service.database.write() as connection:
        key = accounts.key(connection, id)
        if key is None or not (by.is_operator or key.org == by.org):
            raise NotFound("key", id)
        if not by.is_operator and key.revoked_at is None and accounts.live_keys(connection) == 1:
            raise Conflict(
                "This is the last key of the server, and without one everybody who reaches it is let in.",
                "Make another key first, or ask the operator to revoke it.",
            )
        accounts.revoke_key(connection, id, service.database.now(connection))
        found = accounts.key(connection, id)
    _forget(service)
    assert found is not None
    return found


def in_force(service: Service) -> bool:
    """Whether there is a key at all: without one, this machine's user needs none."""
    memory = _memory(service.database)
    if time.monotonic() - memory.counted_at > FRESH:
        with service.database.read() as connection:
            memory.live, memory.counted_at = accounts.live_keys(connection) > 0, time.monotonic()
    return memory.live


def authenticate(service: Service, secret: str) -> Principal:
    """Return whose key this is.

    Raises:
        Unauthenticated: nobody's, or it was revoked.
    """
    memory, hash = _memory(service.database), _hash(secret)
    known = memory.principals.get(hash)
    if known is not None and time.monotonic() - known[1] <= FRESH:
        return known[0]
    principal = _principal(service, hash)
    with memory.lock:
        if len(memory.principals) >= MOST:
            memory.principals.clear()
        memory.principals[hash] = (principal, time.monotonic())
    return principal


def is_valid(service: Service, secret: str) -> bool:
    """Whether a key that was one is one still; a database that is away for a while takes nobody's key."""
    try:
        authenticate(service, secret)
    except Unauthenticated:
        return False
    except (SQLAlchemyError, DatabaseUnusable):
        pass
    return True


def _principal(service: Service, hash: str) -> Principal:
    # The database looks the hash up, not the secret: how long that takes says nothing of the secret.
    with service.database.read() as connection:
        key, now = accounts.key_by_hash(connection, hash), service.database.now(connection)
        member = (
            accounts.member(connection, key.org, key.member)
            if key is not None and key.org is not None and key.member is not None
            else None
        )
    if key is None or (key.member is not None and member is None):
        raise Unauthenticated("This key is not known here, or it was revoked.")
    if key.used_at is None or key.used_at < now - accounts.USED_EVERY:
        with service.database.write() as connection:
            accounts.note_use(connection, key.id, now)
    role = Role[key.role.upper()]
    return Principal(key.org, min(role, Role[member.role.upper()]) if member else role, key.id)


def _hash(secret: str) -> str:
    # The secret is 256 random bits: nothing slower is needed to keep it from being guessed.
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass
class _Memory:
    """What was found out about keys a moment ago."""

    live: bool = False
    counted_at: float = float("-inf")
    principals: dict[str, tuple[Principal, float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


_memories: WeakKeyDictionary[Database, _Memory] = WeakKeyDictionary()


def _memory(database: Database) -> _Memory:
    return _memories.setdefault(database, _Memory())


def _forget(service: Service) -> None:
    """Have this process look again at once."""
    _memories[service.database] = _Memory()
