"""A request that is sent again under the same key is carried out once and answered the same.

The answer is kept beside the key. A job gets an id that follows from key and request: even where a server dies between
storing a job and keeping the answer, the request that is sent again finds the job instead of making another.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from tunesmith.service.context import Service
from tunesmith.spec.errors import Conflict, KeyReused
from tunesmith.spec.ids import new_job_id
from tunesmith.store import idempotency as kept

PATIENCE: Final = 10.0
"""Seconds after which a request that was not answered is taken for one whose server died."""
PATIENCE_FOR_FILES: Final = 600.0
"""The same for a request that brings a file, which takes its time."""
KEPT_SECONDS: Final = 24 * 3600.0
"""How long answers are kept."""
_SEEDS: ContextVar[Iterator[str] | None] = ContextVar("seeds of ids", default=None)


@dataclass(frozen=True)
class Once:
    """One request under one key."""

    org: str
    key: str
    request: str
    """Digest of method, path and body."""
    brings_file: bool = False

    @property
    def seed(self) -> str:
        """What the id of a job that it makes follows from."""
        return "\0".join((self.org, self.key, self.request))


@dataclass(frozen=True)
class Kept:
    """What a request was answered."""

    status: int
    body: Any
    headers: dict[str, str]


def begin(service: Service, once: Once) -> Kept | None:
    """Take a key for a request; return what the request was answered, if it was.

    Raises:
        KeyReused: another request came with this key.
        Conflict: the request is being answered right now, or its answer cannot be given twice.
    """
    with service.database.write() as connection:
        now = service.database.now(connection)
        if kept.begin(connection, once.org, once.key, once.request, now):
            return None
        found = kept.get(connection, once.org, once.key)
        assert found is not None
        if found.request != once.request:
            raise KeyReused(once.key)
        if found.status is not None and found.answer is not None:
            return Kept(found.status, found.answer["body"], found.answer["headers"])
        if found.status is not None:
            raise Conflict("This request was carried out, and its answer holds a secret.", "Make another one.")
        patience = PATIENCE_FOR_FILES if once.brings_file else PATIENCE
        if kept.take_over(connection, once.org, once.key, now - patience, now):
            return None
    raise Conflict("A request with this idempotency key is being answered right now.", "Try again in a second.")


def finish(service: Service, once: Once, answer: Kept, *, is_secret: bool) -> None:
    """Keep what a request was answered; a secret is not kept, only that it was given."""
    content = None if is_secret else {"body": answer.body, "headers": answer.headers}
    with service.database.write() as connection:
        kept.finish(connection, once.org, once.key, answer.status, content)


def forget(service: Service, once: Once) -> None:
    """Give a key free again: its request was not carried out."""
    with service.database.write() as connection:
        kept.forget(connection, once.org, once.key)


def forget_old(service: Service) -> None:
    """Give those keys free whose time is over."""
    with service.database.write() as connection:
        kept.forget_old(connection, service.database.now(connection) - KEPT_SECONDS)


@contextmanager
def ids_from(once: Once) -> Iterator[None]:
    """Have the jobs that are made inside get ids that follow from key and request."""
    token = _SEEDS.set(f"{once.seed}\0{number}" for number in itertools.count())
    try:
        yield
    finally:
        _SEEDS.reset(token)


def job_id() -> str:
    """Return an id for a job that is to be made; the same one where the same request is carried out again."""
    seeds = _SEEDS.get()
    return hashlib.sha256(next(seeds).encode()).hexdigest()[:12] if seeds is not None else new_job_id()
