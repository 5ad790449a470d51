"""`/api/training/datasets`: data sets to train on: upload, list, remove."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, UploadFile
from pydantic import Field

from tunesmith.api.deps import Asker, Serving
from tunesmith.api.doors.incoming import pieces
from tunesmith.api.doors.tasks import Before, Limit
from tunesmith.api.doors.tasks_answers import Envelope
from tunesmith.api.words import stamp
from tunesmith.service.datasets import sets
from tunesmith.service.datasets.counting import count_set
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/training/datasets", tags=["training"])


class DatasetRow(Part):
    """A data set that was uploaded or registered."""

    id: str
    name: str
    type: str
    """What it is meant for, or whether it is a file or a folder."""
    size: int
    """Bytes."""
    samples: int | None
    """Rows, as soon as they were counted."""
    created_at: str | None


class DatasetForm(Part):
    """A data set to be stored."""

    file: UploadFile
    """ZIP, tar, tar.gz (which are unpacked) or a file of rows."""
    name: str | None = Field(None, min_length=1, max_length=200)
    """What it is called. Open: as the file."""
    type: str | None = Field(None, pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}$")
    """What it is meant for, such as image_classifier. Open: whether it is a file or a folder."""


@router.get("")
def datasets(service: Serving, by: Asker, limit: Limit = 100, after: Before = None) -> list[DatasetRow]:
    """List data sets, the newest first."""
    return [_dataset(dataset) for dataset in sets.list_sets(service, by, after=after, limit=limit)]


@router.post("/upload")
def upload(
    form: Annotated[DatasetForm, Form(media_type="multipart/form-data")], service: Serving, by: Asker
) -> DatasetRow:
    """Store a data set; an archive is unpacked."""
    file = form.file.filename or "data"
    chunks = pieces(form.file.file)
    dataset = sets.store_set(service, by, name=form.name or file, file=file, chunks=chunks, type=form.type)
    return _dataset(count_set(service, dataset))


@router.delete("/{dataset_id}")
def delete_dataset(dataset_id: str, service: Serving, by: Asker) -> Envelope:
    """Remove a data set that no task reads."""
    gone = sets.delete_set(service, by, dataset_id)
    return Envelope(message=f"The data set '{gone.name}' is removed.")


def _dataset(dataset: sets.Dataset) -> DatasetRow:
    return DatasetRow(
        id=dataset.id,
        name=dataset.name,
        type=dataset.type,
        size=dataset.bytes,
        samples=dataset.rows,
        created_at=stamp(dataset.created_at),
    )
