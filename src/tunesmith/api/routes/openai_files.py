"""`/v1/files`: upload, list, read and delete files, as OpenAI's clients do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, BinaryIO, Final, Literal

from fastapi import APIRouter, Form, Query, UploadFile
from fastapi.responses import FileResponse, Response
from pydantic import ConfigDict, Field

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.openai import Acting, After, Deleted, Page, page
from tunesmith.api.doors.openai_results import RESULTS, results_csv, results_file
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.service.datasets import files
from tunesmith.service.datasets.tuning_files import TUNING, store_tuning_file
from tunesmith.service.jobs import queue
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/v1/files", tags=["openai"])
CHUNK: Final = 1 << 20
MOST: Final = 10_000
FILE: Final[dict[str, Any]] = {
    "id": "file-abc123",
    "object": "file",
    "bytes": 120000,
    "created_at": 1763725312,
    "filename": "chat.jsonl",
    "purpose": "fine-tune",
    "status": "processed",
}
BYTES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}


class Upload(Part):
    """A file, and what it is for."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    file: UploadFile
    purpose: files.Purpose
    anchor: Literal["created_at"] | None = Field(None, alias="expires_after[anchor]")
    seconds: int | None = Field(None, alias="expires_after[seconds]", ge=3600, le=2_592_000)
    """Seconds until the file is removed. Open: it stays."""


class FileObject(Part):
    """A file."""

    model_config = ConfigDict(json_schema_extra={"examples": [FILE]})

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["uploaded", "processed", "error"]
    """error: no row of it can be trained on; status_details says why."""
    status_details: str | None = None
    expires_at: int | None = None


@router.post("")
def create(
    form: Annotated[Upload, Form(media_type="multipart/form-data")], service: Serving, by: Asker, org: Acting
) -> FileObject:
    """Upload a file; one to train on is looked into at once."""
    name, chunks = form.file.filename or "file", _chunks(form.file.file)
    if form.purpose == TUNING:
        stored = store_tuning_file(service, by, org=org, name=name, chunks=chunks, expires_after=form.seconds)
    else:
        stored = files.store_file(
            service, by, org=org, name=name, purpose=form.purpose, chunks=chunks, expires_after=form.seconds
        )
    return _view(stored)


@router.get("")
def listing(
    service: Serving,
    by: Asker,
    org: Acting,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = MOST,
    order: Literal["asc", "desc"] = "desc",
    purpose: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[FileObject]:
    """List files, the newest first."""
    wanted = files.WantedFiles(org, purpose, after, limit + 1, oldest_first=order == "asc")
    return page([_view(file) for file in files.list_files(service, by, wanted)], limit)


@router.get("/{file_id}")
def retrieve(file_id: str, service: Serving, by: Asker) -> FileObject:
    """Show a file."""
    return _view(_found(service, by, file_id)[0])


@router.get("/{file_id}/content", response_class=Response, responses=BYTES)
def content(file_id: str, service: Serving, by: Asker) -> Response:
    """Return the bytes of a file."""
    file, made = _found(service, by, file_id)
    if made is not None:
        return Response(made, media_type="text/csv")
    return FileResponse(file.path, media_type="application/octet-stream", filename=file.name)


@router.delete("/{file_id}")
def delete(file_id: str, service: Serving, by: Asker) -> Deleted:
    """Delete a file that no job reads or will read."""
    return Deleted(id=files.delete_file(service, by, file_id).id, object="file")


def _found(service: Service, by: Principal, id: str) -> tuple[files.File, bytes | None]:
    """Return a file; with its bytes where it is the table of a job's numbers, which is made when it is asked for."""
    if not id.startswith(RESULTS):
        return files.get_file(service, by, id), None
    job = queue.get(service, id.removeprefix(RESULTS), by)
    made = results_csv(service, job)
    return replace(results_file(job), bytes=len(made)), made


def _view(file: files.File) -> FileObject:
    return FileObject(
        id=file.id,
        bytes=file.bytes,
        created_at=int(file.created_at),
        filename=file.name,
        purpose=file.purpose,
        status="error" if file.status == "error" else "processed",
        status_details=file.status_details,
        expires_at=int(file.expires_at) if file.expires_at is not None else None,
    )


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk
