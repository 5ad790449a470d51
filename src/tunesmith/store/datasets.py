"""Data sets that an organisation has registered, by a name of its own."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from tunesmith.store import tables

datasets = tables.datasets


@dataclass(frozen=True)
class Dataset:
    """A data set of an organisation."""

    id: str
    org: str
    name: str
    type: str
    """file, folder or archive."""
    path: str
    rows: int | None
    """Rows that can be used, once it was checked."""
    bytes: int
    sha256: str | None
    """Of the upload that it came from."""
    created_at: float


def add(connection: Connection, dataset: Dataset) -> None:
    """Store a data set."""
    connection.execute(insert(datasets).values(vars(dataset)))


def get(connection: Connection, id: str) -> Dataset | None:
    """Return a data set; None if there is none of that id."""
    row = connection.execute(select(datasets).where(datasets.c.id == id)).one_or_none()
    return Dataset(**row._mapping) if row is not None else None


def listed(
    connection: Connection, org: str | None = None, *, after: str | None = None, limit: int = 100
) -> list[Dataset]:
    """Return data sets, the newest first; of one organisation where it is named, after one where a page goes on."""
    chosen = select(datasets).order_by(datasets.c.created_at.desc(), datasets.c.id.desc()).limit(limit)
    if org is not None:
        chosen = chosen.where(datasets.c.org == org)
    last = get(connection, after) if after is not None else None
    if last is not None:
        time, id = datasets.c.created_at, datasets.c.id
        chosen = chosen.where(or_(time < last.created_at, and_(time == last.created_at, id < last.id)))
    return [Dataset(**row._mapping) for row in connection.execute(chosen)]


def change(connection: Connection, id: str, **values: object) -> None:
    """Set columns of a data set."""
    connection.execute(update(datasets).where(datasets.c.id == id).values(**values))


def remove(connection: Connection, id: str) -> bool:
    """Forget a data set; return whether it was there."""
    return connection.execute(delete(datasets).where(datasets.c.id == id)).rowcount == 1


def bytes_of(connection: Connection, org: str) -> int:
    """Return how many bytes an organisation's data sets have together."""
    total = select(func.coalesce(func.sum(datasets.c.bytes), 0)).where(datasets.c.org == org)
    return int(connection.execute(total).scalar_one())
