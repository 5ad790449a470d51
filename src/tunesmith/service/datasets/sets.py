"""Data sets of an organisation: uploaded and unpacked below its folder, or registered where they lie."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection

from tunesmith.data import archives
from tunesmith.runs.durable import sync_folder
from tunesmith.service.accounts.organisations import ensure
from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import Principal, Role
from tunesmith.service.datasets import files, room
from tunesmith.service.jobs.places import placed_data, placed_model, start_folder
from tunesmith.service.models.registry import size_of
from tunesmith.spec.errors import DataNotFound, NotFound, QuotaExceeded
from tunesmith.spec.ids import new_id
from tunesmith.spec.job import DatasetRef, ModelRef
from tunesmith.store import datasets as stored
from tunesmith.store.datasets import Dataset

if TYPE_CHECKING:
    from tunesmith.service.context import Service

__all__ = ["Dataset"]

DATASET: Final = "dataset-"
CHECK_SECONDS: Final = 600.0
"""Longest time that a check reads."""
PREVIEW_SECONDS: Final = 60.0
UNPACK_SECONDS: Final = 3_600.0
"""Longest time that an archive takes to unpack."""


@dataclass(frozen=True)
class Wanted:
    """A data set that is to be made of bytes that are on the disk."""

    id: str
    org: str
    name: str
    """What the data set is to be called."""
    file: str
    """What its file is called; by its ending an archive is known."""
    sha256: str | None
    type: str | None = None
    """What it is meant for, in its owner's words. None: whether it is a file, a folder or an archive."""


@dataclass(frozen=True)
class Reading:
    """How a data set is read for a check or a preview."""

    format: str = "auto"
    columns: dict[str, str] | None = None
    limit: int | None = None
    model: str | None = None
    """Also tell what this model would make of it."""
    length: int | None = None
    """Tokens at which rows are cut."""


def register(service: Service, by: Principal, *, org: str | None = None, name: str, uri: str) -> Dataset:
    """Register data where it lies: a path that the organisation may name, or ``file:ID``.

    Raises:
        Forbidden: the role or the organisation does not allow it.
        PathNotAllowed, DataNotFound: it may not be named, or is not there.
    """
    by.needs(Role.MEMBER)
    org = by.acting_for(org)
    ref = placed_data(service, [DatasetRef(uri=uri)], folder=Path.cwd(), org=org, by=by)[0]
    path = Path(ref.uri)
    # What stayed a name is none of this server's folders, even where one is called so.
    if not path.is_absolute() or not path.exists():
        raise DataNotFound(uri, "Only a file or a folder that is there can be registered")
    size = path.stat().st_size if path.is_file() else size_of(path)
    with service.database.write() as connection:
        ensure(connection, org, service, by)
        now = service.database.now(connection)
        dataset = Dataset(new_id(DATASET), org, name, _type(path), ref.uri, None, size, None, now)
        stored.add(connection, dataset)
    return dataset


def store_set(
    service: Service,
    by: Principal,
    *,
    org: str | None = None,
    name: str,
    file: str,
    chunks: Iterable[bytes],
    type: str | None = None,
) -> Dataset:
    """Write a stream of bytes to the disk and make a data set of it, an archive unpacked; on errors nothing stays.

    Raises: as ``files.store_file``, and
        ArchiveRefused: it is an archive that is not unpacked.
    """
    by.needs(Role.MEMBER)
    org, id = by.acting_for(org), new_id(DATASET)
    most = files.admitted(service, by, org)
    draft = _folder(service, org) / f"{files.INCOMING}{id}-upload"
    draft.mkdir(parents=True, mode=0o700)
    try:
        safe = files.safe_name(file)
        _, digest = files.write(draft / safe, chunks, most=most)
        return settle(service, Wanted(id, org, name, safe, digest, type), draft / safe)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def settle(
    service: Service,
    wanted: Wanted,
    source: Path,
    *,
    admitted: int = 0,
    before: Callable[[Connection], None] = lambda connection: None,
) -> Dataset:
    """Make a data set of a file, which goes; repeating it after a kill ends what was begun.

    ``admitted`` is how many bytes of it were let in already; ``before`` stores what else belongs to it, in the same
    transaction.

    Raises:
        ArchiveRefused: it is an archive that is not unpacked, or more comes out of it than the organisation may have;
            nothing of it stays but the file.
        QuotaExceeded: the organisation came to have too much while it was brought; nothing of it stays.
    """
    place = _folder(service, wanted.org) / wanted.id
    if not place.exists():
        _bring(service, wanted, source, place.with_name(files.INCOMING + wanted.id))
        os.rename(place.with_name(files.INCOMING + wanted.id), place)
        sync_folder(place.parent)
    single = place / wanted.file
    path = place if archives.is_archive(wanted.file) else single
    size = size_of(place)
    try:
        with service.database.write() as connection:
            before(connection)
            dataset = stored.get(connection, wanted.id)
            if dataset is None:
                if size > admitted:
                    room.admit(connection, wanted.org, service, size)
                now = service.database.now(connection)
                dataset = Dataset(
                    wanted.id, wanted.org, wanted.name[:255], wanted.type or _type(path), str(path), None, size,
                    wanted.sha256, now,
                )  # fmt: skip
                stored.add(connection, dataset)
    except QuotaExceeded:
        shutil.rmtree(place, ignore_errors=True)
        raise
    source.unlink(missing_ok=True)
    return dataset


def get_set(service: Service, by: Principal, id: str) -> Dataset:
    """Return a data set.

    Raises:
        NotFound: there is none, or it belongs to an organisation that is not theirs.
    """
    with service.database.read() as connection:
        dataset = stored.get(connection, id)
    if dataset is None or not by.sees(dataset.org):
        raise NotFound("data set", id)
    return dataset


def list_sets(
    service: Service, by: Principal, *, org: str | None = None, after: str | None = None, limit: int = 100
) -> list[Dataset]:
    """Return the data sets that a principal may see, the newest first.

    Raises:
        Forbidden: they ask for those of an organisation that is not theirs.
        NotFound: the page is to begin after one that is not there.
    """
    org = by.acting_for(org) if org or by.org else None
    if after is not None:
        get_set(service, by, after)
    with service.database.read() as connection:
        return stored.listed(connection, org, after=after, limit=limit)


def delete_set(service: Service, by: Principal, id: str) -> Dataset:
    """Forget a data set; bytes that were uploaded for it are removed, those that were there before stay.

    Raises:
        NotFound: there is none.
        Conflict: a job that is not over reads it.
    """
    dataset = get_set(service, by, id)
    by.needs(Role.MEMBER)
    with service.database.write() as connection:
        files.refuse_in_use(connection, dataset.org, dataset.path, f"Data set {id}")
        stored.remove(connection, id)
    own = _folder(service, dataset.org) / id
    if own.is_dir():
        shutil.rmtree(own, ignore_errors=True)
    return dataset


def check_set(service: Service, by: Principal, id: str, reading: Reading, split: float | None = None) -> dict[str, Any]:
    """Return what a check of a data set finds, and note how many rows can be used.

    Raises:
        NotFound: there is none.
        SubtaskTooSlow, SubtaskDied, Relayed: as the check ended.
    """
    dataset = get_set(service, by, id)
    asked = _asked(service, by, dataset, reading)
    report: dict[str, Any] = service.subtasks.call("check", timeout=CHECK_SECONDS, split=split, **asked)
    if reading == Reading(model=reading.model, length=reading.length):
        with service.database.write() as connection:
            stored.change(connection, id, rows=int(report["rows"]))
    return report


def preview_set(service: Service, by: Principal, id: str, reading: Reading, rows: int) -> dict[str, Any]:
    """Return the first rows of a data set, with a model as it would see them.

    Raises:
        NotFound: there is none.
        SubtaskTooSlow, SubtaskDied, Relayed: as reading it ended.
    """
    asked = _asked(service, by, get_set(service, by, id), reading)
    found: dict[str, Any] = service.subtasks.call("preview", timeout=PREVIEW_SECONDS, rows=rows, **asked)
    return found


def _folder(service: Service, org: str) -> Path:
    return organisation_folder(service.settings, org) / "data" / "datasets"


def _type(path: Path) -> str:
    if path.is_dir():
        return "folder"
    return "archive" if archives.is_archive(path.name) else "file"


def _bring(service: Service, wanted: Wanted, source: Path, draft: Path) -> None:
    """Have the content of a data set in a folder that nobody knows of yet; the source stays where it is an archive."""
    if not archives.is_archive(wanted.file):
        draft.mkdir(parents=True, exist_ok=True, mode=0o700)
        if source.exists():
            os.rename(source, draft / wanted.file)
        sync_folder(draft)
        return
    shutil.rmtree(draft, ignore_errors=True)
    with service.database.read() as connection:
        left = room.left(connection, wanted.org, service)
    limit = int(service.settings.upload_limit_gb * 1e9)
    # The reader tells an archive by its name, which an upload's file does not have.
    named = draft.with_name(f"{draft.name}-{wanted.file}")
    named.parent.mkdir(parents=True, exist_ok=True)
    named.unlink(missing_ok=True)
    os.symlink(source.absolute(), named)
    try:
        asked = {"archive": str(named), "folder": str(draft), "name": wanted.file}
        most = limit if left is None else min(limit, left)
        service.subtasks.call("unpack", timeout=UNPACK_SECONDS, most=most, **asked)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)  # A child that was killed could not do it.
        raise
    finally:
        named.unlink(missing_ok=True)


def _asked(service: Service, by: Principal, dataset: Dataset, reading: Reading) -> dict[str, Any]:
    """Return what a subtask needs to read a data set; a model is one that the organisation may name."""
    asked = DatasetRef(
        uri=f"dataset:{dataset.id}", format=reading.format, columns=reading.columns or {}, limit=reading.limit
    )  # fmt: skip
    ref = placed_data(service, [asked], folder=Path.cwd(), org=dataset.org, by=by)[0]
    model = None
    if reading.model is not None:
        model = placed_model(service, ModelRef(source=reading.model), folder=Path.cwd(), org=dataset.org, by=by).source
    return {
        "datasets": [ref.model_dump(mode="json")],
        "model": model,
        "length": reading.length,
        "home": str(service.settings.home),
        "folder": str(start_folder(service, Path.cwd(), org=dataset.org, by=by)),
    }
