"""Files that were uploaded, one row each; their bytes lie below the organisation's folder."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Text, and_, cast, delete, func, insert, or_, select, update

from tunesmith.spec.states import JOB_OVER
from tunesmith.store import tables

files = tables.files


@dataclass(frozen=True)
class File:
    """A file of an organisation."""

    id: str
    org: str
    name: str
    """What it was called where it came from; no path."""
    purpose: str
    """What it is for, such as fine-tune."""
    bytes: int
    sha256: str
    path: str
    """Where its bytes lie."""
    status: str
    """processed, or error."""
    status_details: str | None
    created_at: float
    expires_at: float | None = None


@dataclass(frozen=True)
class WantedFiles:
    """Which files a list shows."""

    org: str | None = None
    """None: those of all organisations."""
    purpose: str | None = None
    after: str | None = None
    """Id of the last file of the page before."""
    limit: int = 100
    oldest_first: bool = False


def add(connection: Connection, file: File) -> None:
    """Store a file whose bytes are on the disk."""
    connection.execute(insert(files).values(vars(file)))


def get(connection: Connection, id: str) -> File | None:
    """Return a file; None if there is none of that id."""
    row = connection.execute(select(files).where(files.c.id == id)).one_or_none()
    return File(**row._mapping) if row is not None else None


def listed(connection: Connection, wanted: WantedFiles) -> list[File]:
    """Return files, the newest first unless the other order is wanted."""
    chosen = select(files).limit(wanted.limit)
    if wanted.org is not None:
        chosen = chosen.where(files.c.org == wanted.org)
    if wanted.purpose is not None:
        chosen = chosen.where(files.c.purpose == wanted.purpose)
    last = get(connection, wanted.after) if wanted.after is not None else None
    time, id = files.c.created_at, files.c.id
    if wanted.oldest_first:
        if last is not None:
            chosen = chosen.where(or_(time > last.created_at, and_(time == last.created_at, id > last.id)))
        chosen = chosen.order_by(time, id)
    else:
        if last is not None:
            chosen = chosen.where(or_(time < last.created_at, and_(time == last.created_at, id < last.id)))
        chosen = chosen.order_by(time.desc(), id.desc())
    return [File(**row._mapping) for row in connection.execute(chosen)]


def change(connection: Connection, id: str, **values: object) -> None:
    """Set columns of a file."""
    connection.execute(update(files).where(files.c.id == id).values(**values))


def remove(connection: Connection, id: str) -> bool:
    """Forget a file; return whether it was there."""
    return connection.execute(delete(files).where(files.c.id == id)).rowcount == 1


def expired(connection: Connection, now: float) -> list[File]:
    """Return the files whose time has passed."""
    chosen = select(files).where(files.c.expires_at.is_not(None), files.c.expires_at < now)
    return [File(**row._mapping) for row in connection.execute(chosen)]


def bytes_of(connection: Connection, org: str) -> int:
    """Return how many bytes an organisation's files have together."""
    total = select(func.coalesce(func.sum(files.c.bytes), 0)).where(files.c.org == org)
    return int(connection.execute(total).scalar_one())


def jobs_that_name(connection: Connection, org: str, text: str) -> list[str]:
    """Return the jobs of an organisation that are not over and whose specification holds a text, such as a path."""
    jobs = tables.jobs
    over = [str(state) for state in JOB_OVER]
    named = or_(*(cast(asked, Text).contains(text, autoescape=True) for asked in (jobs.c.spec, jobs.c.work)))
    chosen = select(jobs.c.id).where(jobs.c.org == org, jobs.c.state.not_in(over), named).order_by(jobs.c.number)
    return [id for (id,) in connection.execute(chosen)]
