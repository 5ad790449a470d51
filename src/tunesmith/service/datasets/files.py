"""Files of an organisation: bytes below its folder, and a row that says what they are."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import Connection

from tunesmith.runs.durable import room_for, sync_folder
from tunesmith.service.accounts.organisations import ensure
from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import Principal, Role
from tunesmith.service.datasets import room
from tunesmith.spec.errors import Conflict, NotFound, QuotaExceeded, TooLarge
from tunesmith.spec.ids import new_id
from tunesmith.store import files as stored
from tunesmith.store.files import File, WantedFiles

if TYPE_CHECKING:
    from tunesmith.service.context import Service

__all__ = ["File", "WantedFiles"]

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
"""What OpenAI's clients may say that a file is for."""
ALL: Final = WantedFiles()
INCOMING: Final = ".incoming-"
"""Begins the name of a folder whose content is not whole yet."""
PROCESSED: Final = "processed"
"""Status of a file that can be used."""
_NAME_BYTES: Final = 200
_UNWANTED: Final = re.compile(r"[^\w .,=+@()\[\]-]")


@dataclass(frozen=True)
class Draft:
    """A file that is whole on the disk, and has neither its place nor its row yet."""

    id: str
    org: str
    folder: Path
    """Folder that holds it alone; it is renamed to the file's own."""
    name: str
    purpose: str
    bytes: int
    sha256: str
    expires_after: float | None = None
    """Seconds after which it is removed; None: never."""


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
    most = admitted(service, by, org)
    folder = files_folder(service, org) / f"{INCOMING}{id}"
    folder.mkdir(parents=True, mode=0o700)
    try:
        safe = safe_name(name)
        size, digest = write(folder / safe, chunks, most=most)
        draft = Draft(id, org, folder, safe, purpose, size, digest, expires_after)
        # Others of the organisation may have been sending at the same time.
        return keep(service, draft, before=lambda connection: room.admit(connection, org, service, size))
    except QuotaExceeded:
        shutil.rmtree(folder.with_name(id), ignore_errors=True)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # With all going well it has another name by now.


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
        return stored.listed(connection, replace(wanted, org=org))


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
        refuse_in_use(connection, file.org, str(Path(file.path).parent), f"File {file.id}")
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
    while len(plain.encode()) > _NAME_BYTES:
        stem, dot, suffix = plain.rpartition(".")
        plain = f"{stem[:-1]}{dot}{suffix}" if len(stem) > 1 else plain[:-1]
    return plain or "file"


def admitted(service: Service, by: Principal, org: str) -> int:
    """Have the organisation there and return how many bytes one file of it may have.

    Raises:
        QuotaExceeded: none.
    """
    most = int(service.settings.upload_limit_gb * 1e9)
    with service.database.write() as connection:
        ensure(connection, org, service, by)
        left = room.left(connection, org, service)
    if left is not None and left <= 0:
        raise QuotaExceeded(org, "bytes", "none are left")
    return most if left is None else min(most, left)


def write(path: Path, chunks: Iterable[bytes], *, most: int) -> tuple[int, str]:
    """Write a stream to the disk and return its size and sha256.

    Raises:
        TooLarge: more comes than ``most`` bytes.
        DiskFull: there is no room for it.
    """
    digest, size = hashlib.sha256(), 0
    with room_for(path.parent, 2**20), path.open("xb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > most:
                raise TooLarge(most)
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()


def keep(service: Service, draft: Draft, before: Callable[[Connection], None] = lambda connection: None) -> File:
    """Give a whole file its place, and its row in the transaction in which ``before`` does the rest.

    Repeating it changes nothing.
    """
    place = draft.folder.with_name(draft.id)
    if draft.folder.exists():
        sync_folder(draft.folder)
        os.rename(draft.folder, place)
        sync_folder(place.parent)
    path = place / draft.name
    with service.database.write() as connection:
        before(connection)
        there = stored.get(connection, draft.id)
        if there is None:
            now = service.database.now(connection)
            expires = now + draft.expires_after if draft.expires_after is not None else None
            there = File(
                draft.id, draft.org, draft.name, draft.purpose, draft.bytes, draft.sha256, str(path), PROCESSED,
                None, now, expires,
            )  # fmt: skip
            stored.add(connection, there)
    return there


def refuse_in_use(connection: Connection, org: str, path: str, what: str) -> None:
    """Accept that what lies at a path goes away.

    Raises:
        Conflict: a job that is not over reads it.
    """
    users = stored.jobs_that_name(connection, org, path)
    if users:
        raise Conflict(f"{what} is read by job {users[0]}.", "Cancel the job first, or wait for its end.")
