"""Uploads as tus 1.0 has them: begin, ask how far it came, go on, end. The protocol: https://tus.io/protocols."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response, status
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from tunesmith.api.deps import Asker, Broadcasting, Serving
from tunesmith.service.datasets import uploads
from tunesmith.spec.errors import BadValue, TooLarge, WrongContentType, WrongProtocol
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/uploads", tags=["uploads"])

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,termination,checksum,expiration"
CONTENT: Final = "application/offset+octet-stream"
MOST_METADATA: Final = 8192
"""Most characters of the header Upload-Metadata."""
BLOCK: Final = 2**20
"""Bytes that are written at once: what one request holds in memory."""

Version = Annotated[str | None, Header(alias="Tus-Resumable", examples=[VERSION])]


class UploadView(Part):
    """An upload as it stands."""

    id: str
    org: str
    offset: int
    """Bytes that are on the disk."""
    length: int
    metadata: dict[str, str]
    expires_at: float
    became: str | None
    """The file or data set that it became when it was whole."""


@router.options("", status_code=status.HTTP_204_NO_CONTENT)
@router.options("/{upload_id}", status_code=status.HTTP_204_NO_CONTENT)
def options(service: Serving, upload_id: str = "") -> Response:
    """Say which parts of the protocol are spoken."""
    headers = {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(int(service.settings.upload_limit_gb * 1e9)),
        "Tus-Checksum-Algorithm": ",".join(uploads.CHECKSUMS),
    }
    return Response(status_code=status.HTTP_204_NO_CONTENT, headers=headers)


@router.post("", status_code=status.HTTP_201_CREATED, response_class=Response)
def create(
    service: Serving,
    by: Asker,
    length: Annotated[int, Header(alias="Upload-Length", ge=0, le=2**53, examples=[1024])],
    metadata: Annotated[
        str, Header(alias="Upload-Metadata", max_length=MOST_METADATA, examples=["filename ZGF0YS5qc29ubA=="])
    ] = "",
    version: Version = None,
    org: Annotated[str | None, Query(description="Organisation. Open: the key's own.")] = None,
) -> Response:
    """Begin an upload; metadata are filename, purpose (dataset: it becomes a data set), name and sha256, in base64."""
    _check(version)
    upload = uploads.create(service, by, org=org, length=length, metadata=_read(metadata))
    headers = _headers(upload) | {"Location": f"/api/uploads/{upload.id}"}
    return Response(status_code=status.HTTP_201_CREATED, headers=headers)


@router.get("/{upload_id}")
def get(upload_id: str, service: Serving, by: Asker) -> UploadView:
    """Return an upload as it stands."""
    upload, offset = uploads.look(service, by, upload_id)
    return UploadView(
        id=upload.id, org=upload.org, offset=offset, length=upload.length, metadata=upload.metadata,
        expires_at=upload.expires_at, became=upload.became,
    )  # fmt: skip


@router.head("/{upload_id}", response_class=Response)
def head(upload_id: str, service: Serving, by: Asker, version: Version = None) -> Response:
    """Say how far an upload has come."""
    _check(version)
    upload, offset = uploads.look(service, by, upload_id)
    headers = _headers(upload) | {
        "Upload-Offset": str(offset),
        "Upload-Length": str(upload.length),
        "Cache-Control": "no-store",
    }
    if upload.metadata:
        headers["Upload-Metadata"] = _written(upload.metadata)
    return Response(headers=headers)


@router.patch("/{upload_id}", status_code=status.HTTP_204_NO_CONTENT, response_class=Response)
async def go_on(
    upload_id: str,
    request: Request,
    service: Serving,
    by: Asker,
    offset: Annotated[int, Header(alias="Upload-Offset", ge=0, le=2**53, examples=[0])],
    checksum: Annotated[
        str | None, Header(alias="Upload-Checksum", max_length=200, examples=["sha256 47DEQpj8HBSa+/TImW+5JA=="])
    ] = None,
    content_length: Annotated[int | None, Header(alias="Content-Length", ge=0, include_in_schema=False)] = None,
    version: Version = None,
    *,
    broadcast: Broadcasting,
) -> Response:
    """Add bytes to an upload, from where it has come to."""
    _check(version)
    if request.headers.get("content-type") != CONTENT:
        raise WrongContentType(request.headers.get("content-type", "none"))
    writer = await run_in_threadpool(uploads.go_on, service, by, upload_id, offset, _digest(checksum))
    try:
        if content_length is not None and offset + content_length > writer.upload.length:
            raise TooLarge(writer.upload.length)
        async for block in _blocks(request, broadcast.closing):
            await run_in_threadpool(writer.write, block)
        upload = await run_in_threadpool(writer.finish)
        headers = _headers(upload) | {"Upload-Offset": str(writer.offset)}
    except ClientDisconnect:
        # What came is kept. Whoever has gone does not hear it; whoever sends to a server that stops goes on elsewhere.
        return Response(status_code=status.HTTP_503_SERVICE_UNAVAILABLE, headers={"Retry-After": "5"})
    finally:
        writer.close()
    return Response(status_code=status.HTTP_204_NO_CONTENT, headers=headers)


@router.delete("/{upload_id}", status_code=status.HTTP_204_NO_CONTENT, response_class=Response)
def terminate(upload_id: str, service: Serving, by: Asker, version: Version = None) -> Response:
    """End an upload and remove its bytes."""
    _check(version)
    uploads.terminate(service, by, upload_id)
    return Response(status_code=status.HTTP_204_NO_CONTENT, headers={"Tus-Resumable": VERSION})


async def _blocks(request: Request, closing: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield the body in blocks of a size that is worth a write; the last one also where the client has gone."""
    waiting = bytearray()
    try:
        async for chunk in _chunks(request, closing):
            waiting += chunk
            if len(waiting) >= BLOCK:
                yield bytes(waiting)
                waiting.clear()
    except ClientDisconnect:
        if waiting:
            yield bytes(waiting)
        raise
    if waiting:
        yield bytes(waiting)


async def _chunks(request: Request, closing: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield the body as it comes; a server that stops waits for nobody to send more."""
    stream, stopped = request.stream(), asyncio.ensure_future(closing.wait())
    try:
        while True:
            getting = asyncio.ensure_future(anext(stream, None))
            await asyncio.wait({getting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                getting.cancel()
                raise ClientDisconnect
            chunk = getting.result()
            if chunk is None:
                return
            yield chunk
    finally:
        stopped.cancel()


def _check(version: str | None) -> None:
    if version != VERSION:
        raise WrongProtocol(version)


def _headers(upload: uploads.Upload) -> dict[str, str]:
    headers = {"Tus-Resumable": VERSION}
    if upload.became is None:
        headers["Upload-Expires"] = formatdate(upload.expires_at, usegmt=True)
    else:
        headers["Upload-Became"] = upload.became
    return headers


def _read(metadata: str) -> dict[str, str]:
    """Read the header: pairs of a key and a value in base64, with commas between them."""
    found = {}
    for pair in filter(None, metadata.split(",")):
        key, _, value = pair.strip().partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise BadValue("Upload-Metadata", pair, "pairs of a key and a value in base64 of UTF-8") from error
        if "\0" in found[key]:
            raise BadValue("Upload-Metadata", pair, "text without zero bytes")
    return found


def _written(metadata: dict[str, str]) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}".strip() for key, value in metadata.items())


def _digest(checksum: str | None) -> tuple[str, str] | None:
    """Read the header Upload-Checksum: the algorithm and the digest in base64."""
    if checksum is None:
        return None
    algorithm, _, digest = checksum.partition(" ")
    if algorithm not in uploads.CHECKSUMS:
        raise BadValue("Upload-Checksum", checksum, f"one of {', '.join(uploads.CHECKSUMS)}, then the digest in base64")
    try:
        return algorithm, base64.b64decode(digest, validate=True).hex()
    except (binascii.Error, ValueError) as error:
        raise BadValue("Upload-Checksum", checksum, "a digest in base64") from error
