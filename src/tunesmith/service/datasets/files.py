"""Files of an organisation: bytes below its folder, and a row that says what they are."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.runs.durable import room_for, sync_folder
from tunesmith.service.accounts.organisations import ensure
from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import Principal, Role
from tunesmith.spec.errors import Conflict, NotFound, TooLarge
from tunesmith.spec.ids import new_id
from tunesmith.store import files as stored
from tunesmith.store.files import File, WantedFiles

if TYPE_CHECKING:
    from tunesmith.service.context import Service

__all__ = ["File", "WantedFiles"]

ALL: Final = WantedFiles()
INCOMING: Final = ".incoming-"
"""Begins the name of a folder whose file is not whole yet."""
_NAME_BYTES: Final = 200
_UNWANTED: Final = re.compile(r"[^\w .,=+@()\[\]-]")


def store_file(
    service: Service,
    by: Principal,
    *,
    org: str | None = None,
    name: str,
    purpose: str,
    chunks: Iterable[bytes],
    expires_after: float | None = None,
) -> File:
    """Write a stream of bytes to the disk and register it; on any error nothing of it stays.

    Raises:
        Forbidden: the role or the organisation does not allow it.
        QuotaExceeded: the organisation has used up its bytes.
        TooLarge: it is larger than an upload may be.
        DiskFull: there is no room for it.
    """
    by.needs(Role.MEMBER)
    org, id = by.acting_for(org), new_id("file-")
    with service.database.write() as connection:
        ensure(connection, org, service, by)
    folder = files_folder(service, org)
    draft = folder / f"{INCOMING}{id}"
    draft.mkdir(parents=True, mode=0o700)
    try:
        safe = safe_name(name)
        with room_for(draft, 2**20):
            size, digest = _write(draft / safe, chunks, limit=int(service.settings.upload_limit_gb * 1e9))
        return _register(service, by, org, id, draft, size, digest, safe, purpose, expires_after)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(folder / id, ignore_errors=True)
        raise


def get_file(service: Service, by: Principal, id: str) -> File:
    """Return a file.

    Raises:
        NotFound: there is none, or it belongs to an organisation that is not theirs.
    """
    with service.database.read() as connection:
        file = stored.get(connection, id)
    if file is None or not by.sees(file.org):
        raise NotFound("file", id)
    return file


def list_files(service: Service, by: Principal, wanted: WantedFiles = ALL) -> list[File]:
    """Return the files that a principal may see, the newest first unless they want the other order.

    Raises:
        Forbidden: they ask for those of an organisation that is not theirs.
        NotFound: the page is to begin after a file that is not there.
    """
    org = by.acting_for(wanted.org) if wanted.org or by.org else None
    if wanted.after is not None:
        get_file(service, by, wanted.after)
    with service.database.read() as connection:
        return stored.listed(connection, WantedFiles(**{**vars(wanted), "org": org}))


def path_of(service: Service, by: Principal, id: str) -> Path:
    """Return where the bytes of a file lie.

    Raises:
        NotFound: there is no such file.
    """
    return Path(get_file(service, by, id).path)


def delete_file(service: Service, by: Principal, id: str) -> File:
    """Forget a file and remove its bytes.

    Raises:
        NotFound: there is none.
        Forbidden: the role does not allow it.
        Conflict: a job that is not over reads it.
    """
    file = get_file(service, by, id)
    by.needs(Role.MEMBER)
    with service.database.write() as connection:
        users = stored.jobs_that_name(connection, file.org, file.id)
        if users:
            raise Conflict(f"File {file.id} is read by job {users[0]}.", "Cancel the job first, or wait for its end.")
        stored.remove(connection, file.id)
    shutil.rmtree(Path(file.path).parent, ignore_errors=True)
    return file


def files_folder(service: Service, org: str) -> Path:
    """Return the folder below which an organisation's files lie."""
    return organisation_folder(service.settings, org) / "data" / "files"


def safe_name(name: str) -> str:
    """Return the last part of a name, without what a file system, a shell or a terminal could take for more."""
    plain = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode()).replace("\\", "/").split("/")[-1]
    plain = _UNWANTED.sub("_", plain).strip(" .").lstrip("-.~ ")
    stem, dot, suffix = plain.rpartition(".")
    while len(plain.encode()) > _NAME_BYTES:
        stem, dot, suffix = (stem[:-1], dot, suffix) if stem else ("", "", suffix[:-1])
        plain = f"{stem}{dot}{suffix}"
    return plain or "file"


def _write(path: Path, chunks: Iterable[bytes], *, limit: int) -> tuple[int, str]:
    """Write a stream to the disk and return its size and sha256."""
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise TooLarge(limit)
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()


def _register(
    service: Service,
    by: Principal,
    org: str,
    id: str,
    draft: Path,
    size: int,
    digest: str,
    name: str,
    purpose: str,
    expires_after: float | None,
) -> File:
    """Give a whole file its place and its row."""
    place = draft.with_name(id)
    sync_folder(draft)
    os.rename(draft, place)
    sync_folder(place.parent)
    with service.database.write() as connection:
        now = service.database.now(connection)
        expires = now + expires_after if expires_after is not None else None
        file = File(id, org, name, purpose, size, digest, str(place / name), "processed", None, now, expires)
        stored.add(connection, file)
    return file
