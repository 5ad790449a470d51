"""Errors of uploads: where they go on, what they hold, and what becomes of them. The status codes are those of tus."""

from __future__ import annotations

from tunesmith.spec.errors.service import ServiceError


class OffsetDiffers(ServiceError):
    """Bytes that do not follow on those that are there."""

    code = "offset_differs"
    status = 409

    def __init__(self, sent: int, there: int) -> None:
        super().__init__(f"The upload has {there:,} bytes, and these begin at {sent:,}. Ask with HEAD where to go on.")


class UploadGone(ServiceError):
    """An upload that nobody went on with for too long."""

    code = "upload_gone"
    status = 410

    def __init__(self, id: str) -> None:
        super().__init__(f"Upload {id} has expired and its bytes are removed. Begin another one.")


class UploadBusy(ServiceError):
    """Another request writes to the upload."""

    code = "upload_busy"
    status = 423

    def __init__(self, id: str) -> None:
        super().__init__(f"Another request writes to upload {id}. Wait for its end, then ask with HEAD where to go on.")


class ChecksumDiffers(ServiceError):
    """Bytes that are not those that were announced."""

    code = "checksum_differs"
    status = 460

    def __init__(self, wanted: str, found: str) -> None:
        super().__init__(f"The sha256 is {found} and should be {wanted}. They were thrown away: send them again.")


class WrongProtocol(ServiceError):
    """A request that does not speak tus 1.0.0."""

    code = "wrong_protocol"
    status = 412

    def __init__(self, found: str | None) -> None:
        super().__init__(f"The header Tus-Resumable says {found or 'nothing'}. Send Tus-Resumable: 1.0.0.")


class ArchiveRefused(ServiceError):
    """An archive that is not unpacked."""

    code = "archive_refused"
    status = 422

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"'{name[:200]}' is not unpacked: {why.rstrip('.')}. Nothing of it was kept; mend it first.")
