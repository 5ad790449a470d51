"""Uploads that can be broken off and gone on with, as tus 1.0 has them.

The offset of an upload is the size of its file: whatever kills the server, nothing that was acknowledged is lost, and
no number can disagree with the bytes. One request at a time writes; the lock dies with its process.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from tunesmith.runs.durable import disk_full, room_for, sync_folder
from tunesmith.service.accounts.organisations import ensure
from tunesmith.service.accounts.paths import organisation_folder
from tunesmith.service.accounts.principal import Principal, Role
from tunesmith.service.datasets import files, room, sets
from tunesmith.service.datasets.tuning_files import TUNING
from tunesmith.spec.errors import (
    ArchiveRefused,
    BadValue,
    ChecksumDiffers,
    NotFound,
    OffsetDiffers,
    QuotaExceeded,
    Relayed,
    SubtaskDied,
    SubtaskTooSlow,
    TooLarge,
    UploadBusy,
    UploadGone,
)
from tunesmith.spec.ids import new_id
from tunesmith.store import files as stored_files
from tunesmith.store import uploads as stored
from tunesmith.store.uploads import Upload

if TYPE_CHECKING:
    from tunesmith.service.context import Service

__all__ = ["Upload"]

PREFIX: Final = "upload-"
LIFE: Final = 7 * 86_400.0
"""Seconds after which an upload that nobody goes on with is removed."""
DATASET: Final = "dataset"
"""Purpose of what becomes a data set; everything else becomes a file, to train on where nothing is said."""
PURPOSES: Final = (DATASET, *get_args(files.Purpose))
CHECKSUMS: Final = ("sha1", "sha256")
"""Ways in which the bytes of one request may be checked."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_BLOCK: Final = 2**20


def create(service: Service, by: Principal, *, org: str | None = None, length: int, metadata: dict[str, str]) -> Upload:
    """Begin an upload of so many bytes.

    ``metadata`` may say filename, purpose (dataset: it becomes a data set), name (of the data set) and sha256.

    Raises:
        Forbidden: the role or the organisation does not allow it.
        TooLarge, QuotaExceeded, DiskFull: there is no room for that many bytes.
        BadValue: the sha256 is none, or nothing is known of such a purpose.
    """
    by.needs(Role.MEMBER)
    org, limit = by.acting_for(org), int(service.settings.upload_limit_gb * 1e9)
    sha256 = metadata.get("sha256", "").lower() or None
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise BadValue("sha256", sha256, "64 hexadecimal digits")
    if metadata.get("purpose", TUNING) not in PURPOSES:
        raise BadValue("purpose", metadata["purpose"], f"one of {', '.join(PURPOSES)}")
    if length > limit:
        raise TooLarge(limit)
    id = new_id(PREFIX)
    with service.database.write() as connection:
        ensure(connection, org, service, by)
        now = service.database.now(connection)
    upload = Upload(id, org, length, metadata, sha256, now, now + LIFE, None)
    path = _made(service, upload)
    try:
        with service.database.write() as connection:
            room.admit(connection, org, service, length)
            stored.add(connection, upload)
    except BaseException:
        path.unlink()
        raise
    return _ended(service, upload) if length == 0 else upload


def look(service: Service, by: Principal, id: str) -> tuple[Upload, int]:
    """Return an upload and where it goes on; one that is whole becomes what it was meant for, if a kill came between.

    Raises:
        NotFound: there is none.
        UploadGone: it has expired.
        ChecksumDiffers, ArchiveRefused: it is whole, and not what it was said to be.
    """
    upload = _there(service, by, id)
    offset = offset_of(service, upload)
    if upload.became is None and offset == upload.length:
        try:
            with Writer(service, upload, offset) as writer:
                upload = writer.finish()
        except UploadBusy:
            pass  # The request that brought the last bytes is about it.
    return upload, offset


def offset_of(service: Service, upload: Upload) -> int:
    """Return how many bytes of an upload are on the disk."""
    try:
        descriptor = os.open(_path(service, upload), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return upload.length  # It was moved to the place of what it becomes.
    try:
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def go_on(service: Service, by: Principal, id: str, offset: int, checksum: tuple[str, str] | None = None) -> Writer:
    """Open an upload to add bytes that begin at ``offset``; ``checksum`` is how they are checked, and the hex digest.

    Raises:
        NotFound: there is none.
        UploadGone: it has expired.
        UploadBusy: another request writes to it.
        OffsetDiffers: it has more bytes, or fewer.
    """
    by.needs(Role.MEMBER)
    return Writer(service, _there(service, by, id), offset, checksum)


def terminate(service: Service, by: Principal, id: str) -> None:
    """Forget an upload and its bytes; what it has become stays.

    Raises:
        NotFound: there is none.
        UploadBusy: a request writes to it.
    """
    by.needs(Role.MEMBER)
    upload = _there(service, by, id)
    if upload.became is None:
        with Writer(service, upload, offset_of(service, upload)):
            _forget(service, upload)
    else:
        _forget(service, upload)


def sweep(service: Service) -> None:
    """Remove uploads and files whose time has passed."""
    with service.database.read() as connection:
        now = service.database.now(connection)
        late, old = stored.expired(connection, now), stored_files.expired(connection, now)
    for upload in late:
        _forget(service, upload)
    for file in old:
        with service.database.write() as connection:
            if not stored_files.jobs_that_name(connection, file.org, file.id):
                stored_files.remove(connection, file.id)
                shutil.rmtree(Path(file.path).parent, ignore_errors=True)


class Writer:
    """Adds bytes to an upload, alone; what was written when it closes, however it comes to that, stays."""

    def __init__(self, service: Service, upload: Upload, offset: int, checksum: tuple[str, str] | None = None) -> None:
        self.upload, self._service, self._checksum = upload, service, checksum
        self._digest = hashlib.new(checksum[0]) if checksum else None
        self._start = self._end = offset
        self._file = _locked(_path(service, upload), upload)
        there = os.fstat(self._file).st_size if self._file >= 0 else upload.length
        if there != offset:
            self.close()
            raise OffsetDiffers(offset, there)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.close()

    @property
    def offset(self) -> int:
        """Where the upload has come to."""
        return self._end

    def write(self, block: bytes) -> None:
        """Add bytes.

        Raises:
            TooLarge: they are more than the upload was to have; those of this request are thrown away.
            DiskFull: there is no room for them.
        """
        if self._end + len(block) > self.upload.length:
            if self._file >= 0:
                self._throw_away()
            raise TooLarge(self.upload.length)
        with room_for(_path(self._service, self.upload), len(block)):
            view = memoryview(block)
            while view:
                view = view[os.write(self._file, view) :]
        self._end += len(block)
        if self._digest is not None:
            self._digest.update(block)

    def finish(self) -> Upload:
        """Have the bytes on the disk; with the last of them the upload becomes what it was meant for.

        Raises:
            ChecksumDiffers: the bytes of this request, or all of them, are not those that were announced.
            ArchiveRefused: it was to become a data set and is an archive that is not unpacked; it is removed.
        """
        if self._checksum is not None and self._digest is not None:
            found, wanted = self._digest.hexdigest(), self._checksum[1]
            if found != wanted:
                self._throw_away()
                raise ChecksumDiffers(wanted, found)
        self._digest = None
        if self._file >= 0:
            os.fsync(self._file)
        if self._end == self.upload.length:
            return _ended(self._service, self.upload)
        return _prolonged(self._service, self.upload)

    def close(self) -> None:
        """Let go of the upload; bytes that were to be checked and are not all there are thrown away."""
        if self._file < 0:
            return
        if self._digest is not None:
            self._throw_away()
        os.fsync(self._file)
        os.close(self._file)
        self._file = -1

    def _throw_away(self) -> None:
        os.ftruncate(self._file, self._start)
        self._end, self._digest = self._start, None


def _there(service: Service, by: Principal, id: str) -> Upload:
    with service.database.read() as connection:
        upload, now = stored.get(connection, id), service.database.now(connection)
    if upload is None or not by.sees(upload.org):
        raise NotFound("upload", id)
    if upload.became is None and upload.expires_at < now:
        raise UploadGone(id)
    return upload


def _path(service: Service, upload: Upload) -> Path:
    return organisation_folder(service.settings, upload.org) / "data" / "uploads" / upload.id


def _made(service: Service, upload: Upload) -> Path:
    """Make the empty file of an upload, before its row: an upload without a file is one that has become something."""
    path = _path(service, upload)
    with room_for(path, upload.length):
        path.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(path.parent).free < upload.length:
            raise disk_full(path.parent, upload.length)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        sync_folder(path.parent)
    return path


def _locked(path: Path, upload: Upload) -> int:
    """Open the file of an upload and lock it; -1 where it was moved already to what it becomes."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file), path.lstat()):
            return file
    except BlockingIOError as error:
        os.close(file)
        raise UploadBusy(upload.id) from error
    except FileNotFoundError:
        pass  # It was moved while this request waited to open it.
    os.close(file)
    return -1


def _prolonged(service: Service, upload: Upload) -> Upload:
    with service.database.write() as connection:
        expires = service.database.now(connection) + LIFE
        stored.change(connection, upload.id, expires_at=expires)
    return replace(upload, expires_at=expires)


def _ended(service: Service, upload: Upload) -> Upload:
    """Turn a whole upload into a file or a data set; whatever of it was done before a kill is not done again."""
    path, metadata = _path(service, upload), upload.metadata
    digest = _digest_of(path) if path.exists() else upload.sha256 or ""
    if upload.sha256 is not None and digest != upload.sha256:
        os.truncate(path, 0)
        raise ChecksumDiffers(upload.sha256, digest)
    name = files.safe_name(metadata.get("filename") or metadata.get("name") or "file")
    if metadata.get("purpose") == DATASET:
        became = sets.DATASET + upload.id.removeprefix(PREFIX)
        wanted = sets.Wanted(became, upload.org, metadata.get("name") or name, name, digest or None)
        try:
            sets.settle(
                service,
                wanted,
                path,
                admitted=upload.length,
                # From then on the data set counts, and no more what the upload announced.
                before=lambda connection: stored.change(connection, upload.id, became=became),
            )
        except (QuotaExceeded, Relayed, SubtaskDied, SubtaskTooSlow) as error:
            if not isinstance(error, Relayed) or error.code == ArchiveRefused.code:
                _forget(service, upload)
            raise
    else:
        became = "file-" + upload.id.removeprefix(PREFIX)
        _into_file(service, upload, became, name, digest)
    return replace(upload, became=became)


def _into_file(service: Service, upload: Upload, id: str, name: str, digest: str) -> None:
    path, folder = _path(service, upload), files.files_folder(service, upload.org)
    draft = folder / f"{files.INCOMING}{id}"
    if path.exists():
        draft.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.rename(path, draft / name)
    whole = draft / name if draft.exists() else folder / id / name
    digest = digest or _digest_of(whole)
    purpose = upload.metadata.get("purpose", TUNING)
    kept = files.Draft(id, upload.org, draft, name, purpose, upload.length, digest)
    files.keep(service, kept, before=lambda connection: stored.change(connection, upload.id, became=id))


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _forget(service: Service, upload: Upload) -> None:
    with service.database.write() as connection:
        stored.remove(connection, upload.id)
    _path(service, upload).unlink(missing_ok=True)
