"""Models that jobs made: where each lies, and what it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from tunesmith.store import tables

models = tables.models


@dataclass(frozen=True)
class Model:
    """A model with its lineage."""

    id: str
    org: str
    name: str
    """Unique within the organisation."""
    kind: str
    """adapter or full."""
    path: str
    job: str | None
    run: str | None
    base: str
    """The model that it was trained from, as its job named it."""
    base_fingerprint: str | None
    parent: str | None
    """The model whose weights it began with, where it continues one."""
    recipe: dict[str, Any]
    data: dict[str, Any]
    """sets (uri, format and use of each), rows and the fingerprint of data, template and base weights."""
    versions: dict[str, str]
    """Of the libraries that made it."""
    metrics: dict[str, Any]
    bytes: int
    created_at: float


def add(connection: Connection, model: Model) -> None:
    """Store a model."""
    connection.execute(insert(models).values(vars(model)))


def get(connection: Connection, id: str) -> Model | None:
    """Return a model; None if there is none of that id."""
    row = connection.execute(select(models).where(models.c.id == id)).one_or_none()
    return Model(**row._mapping) if row is not None else None


def of_run(connection: Connection, run: str) -> Model | None:
    """Return the model that a run made."""
    row = connection.execute(select(models).where(models.c.run == run)).one_or_none()
    return Model(**row._mapping) if row is not None else None


def named(connection: Connection, org: str, name: str) -> Model | None:
    """Return an organisation's model of a name."""
    row = connection.execute(select(models).where(models.c.org == org, models.c.name == name)).one_or_none()
    return Model(**row._mapping) if row is not None else None


def at(connection: Connection, path: str) -> list[Model]:
    """Return the models that are said to lie in a folder."""
    return [Model(**row._mapping) for row in connection.execute(select(models).where(models.c.path == path))]


def listed(connection: Connection, org: str | None = None, job: str | None = None) -> list[Model]:
    """Return models, the newest first; of one organisation or one job where these are named."""
    chosen = select(models).order_by(models.c.created_at.desc(), models.c.id)
    if org is not None:
        chosen = chosen.where(models.c.org == org)
    if job is not None:
        chosen = chosen.where(models.c.job == job)
    return [Model(**row._mapping) for row in connection.execute(chosen)]


def bytes_of(connection: Connection, org: str) -> int:
    """Return how many bytes an organisation's models have together."""
    total = select(func.coalesce(func.sum(models.c.bytes), 0)).where(models.c.org == org)
    return int(connection.execute(total).scalar_one())


def children(connection: Connection, id: str) -> Sequence[Model]:
    """Return the models that continue a model."""
    return [Model(**row._mapping) for row in connection.execute(select(models).where(models.c.parent == id))]


def change(connection: Connection, id: str, **values: Any) -> None:
    """Set columns of a model."""
    connection.execute(update(models).where(models.c.id == id).values(**values))


def remove(connection: Connection, id: str) -> bool:
    """Forget a model; return whether it was there."""
    return connection.execute(delete(models).where(models.c.id == id)).rowcount == 1
