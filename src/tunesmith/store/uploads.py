"""Uploads that are under way; how far each has come is what lies on the disk, never a number here."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from tunesmith.store import tables

uploads = tables.uploads


@dataclass(frozen=True)
class Upload:
    """An upload."""

    id: str
    org: str
    length: int
    """Bytes that it will have."""
    metadata: dict[str, str]
    """What was said of it at the beginning: filename, purpose, ..."""
    sha256: str | None
    """What its bytes must be, where that was said."""
    created_at: float
    expires_at: float
    became: str | None
    """The file or data set that it became when it was complete."""


def add(connection: Connection, upload: Upload) -> None:
    """Store an upload that begins."""
    connection.execute(insert(uploads).values(vars(upload)))


def get(connection: Connection, id: str) -> Upload | None:
    """Return an upload; None if there is none of that id."""
    row = connection.execute(select(uploads).where(uploads.c.id == id)).one_or_none()
    return Upload(**row._mapping) if row is not None else None


def expired(connection: Connection, now: float) -> list[Upload]:
    """Return the uploads whose time has passed."""
    return [Upload(**row._mapping) for row in connection.execute(select(uploads).where(uploads.c.expires_at < now))]


def change(connection: Connection, id: str, **values: object) -> None:
    """Set columns of an upload."""
    connection.execute(update(uploads).where(uploads.c.id == id).values(**values))


def remove(connection: Connection, id: str) -> bool:
    """Forget an upload; return whether it was there."""
    return connection.execute(delete(uploads).where(uploads.c.id == id)).rowcount == 1


def bytes_of(connection: Connection, org: str) -> int:
    """Return how many bytes an organisation's unfinished uploads will have together."""
    total = select(func.coalesce(func.sum(uploads.c.length), 0)).where(uploads.c.org == org, uploads.c.became.is_(None))
    return int(connection.execute(total).scalar_one())
