"""Data sets: uploaded or registered where they lie, checked, previewed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, File, Form, Query, UploadFile, status
from pydantic import Field

from tunesmith.api.deps import Asker, Serving
from tunesmith.service.datasets import sets
from tunesmith.spec.recipe import Part

router = APIRouter(prefix="/api/datasets", tags=["data sets"])

REGISTERED: Final = {"name": "support-2026", "uri": "data/support.jsonl"}
CHECKED: Final = {"model": "smollm2-135m-instruct", "split": 0.1}
PREVIEWED: Final = {"model": "smollm2-135m-instruct", "rows": 3}
BLOCK: Final = 2**20
Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["support-2026"])]


class Registered(Part):
    """Data that lies on this machine, or was uploaded as a file."""

    name: Name
    """What it is to be called."""
    uri: str = Field(min_length=1, max_length=4096, pattern=r"^[^\x00]+$", examples=["data/support.jsonl"])
    """A file or folder that the organisation may name, or file:ID."""
    org: str | None = None
    """Organisation. Open: the key's own."""


class DatasetView(Part):
    """A data set."""

    id: str
    org: str
    name: str
    type: str
    """file, folder or archive."""
    uri: str
    """What a job calls it."""
    rows: int | None
    """Rows that can be used, once it was checked."""
    bytes: int
    sha256: str | None
    created_at: float


class Datasets(Part):
    """A page of data sets, the newest first."""

    datasets: list[DatasetView]
    next: str | None
    """What ``after`` is for the next page; None: this is the last one."""


class Reading(Part):
    """How the data is read."""

    format: str = Field("auto", max_length=64, examples=["auto"])
    """Name of a data set format; auto asks each format, row by row."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Renames: {column the format wants: column of the data}."""
    limit: int | None = Field(None, ge=1)
    """First rows that are read, at most."""
    model: str | None = Field(None, min_length=1, max_length=4096)
    """Also tell what this model would make of the rows: a folder, or a name that was pulled."""
    length: int | None = Field(None, ge=1)
    """Tokens at which rows are cut. Open: what the model can see."""


class Checking(Reading):
    """How the data is checked."""

    split: float | None = Field(None, ge=0, lt=1)
    """Share held out for validation. Open: 0.1, and none where that leaves no row."""


class Previewing(Reading):
    """Which rows are shown."""

    rows: int = Field(3, ge=1, le=1000, examples=[3])
    """Rows to show."""


class Report(Part):
    """What a check found."""

    clean: bool
    """Whether there is something to train on, and nothing is wrong."""
    rows: int
    by_format: dict[str, int]
    kinds: dict[str, int]
    """Rows by what they are: text, labelled image, speech, ..."""
    media: dict[str, int]
    """Pictures and recordings that the rows name."""
    faults: dict[str, Any]
    empty: int
    duplicates: int
    sides: dict[str, int]
    leaked: int
    shared: int
    given_away: dict[str, Any]
    labels: dict[str, int]
    lengths: dict[str, Any]
    ledger: dict[str, Any] | None
    warnings: list[str]
    refusal: str


class Preview(Part):
    """The first rows."""

    rows: list[dict[str, Any]]
    faults: list[str]
    """What is wrong with rows that were passed over on the way."""


def _view(dataset: sets.Dataset) -> DatasetView:
    return DatasetView(
        id=dataset.id, org=dataset.org, name=dataset.name, type=dataset.type, uri=f"dataset:{dataset.id}",
        rows=dataset.rows, bytes=dataset.bytes, sha256=dataset.sha256, created_at=dataset.created_at,
    )  # fmt: skip


@router.post("", status_code=status.HTTP_201_CREATED)
def register(posted: Annotated[Registered, Body(examples=[REGISTERED])], service: Serving, by: Asker) -> DatasetView:
    """Register data where it lies."""
    return _view(sets.register(service, by, org=posted.org, name=posted.name, uri=posted.uri))


@router.post("/upload", status_code=status.HTTP_201_CREATED)
def upload(
    service: Serving,
    by: Asker,
    file: Annotated[UploadFile, File(description="A file of rows, or an archive that is unpacked.")],
    name: Annotated[str | None, Form(min_length=1, max_length=255)] = None,
    org: Annotated[str | None, Form()] = None,
) -> DatasetView:
    """Upload a data set as a form; /api/uploads takes large ones, which can be broken off and gone on with."""
    called = file.filename or "file"
    return _view(sets.store_set(service, by, org=org, name=name or called, file=called, chunks=_blocks(file)))


@router.get("")
def listed(
    service: Serving,
    by: Asker,
    org: Annotated[str | None, Query(description="Organisation. Open: the key's own.")] = None,
    after: Annotated[str | None, Query(description="The last data set of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Datasets:
    """List data sets."""
    found = sets.list_sets(service, by, org=org, after=after, limit=limit)
    return Datasets(datasets=[_view(each) for each in found], next=found[-1].id if len(found) == limit else None)


@router.get("/{dataset_id}")
def get(dataset_id: str, service: Serving, by: Asker) -> DatasetView:
    """Return a data set."""
    return _view(sets.get_set(service, by, dataset_id))


@router.delete("/{dataset_id}")
def delete(dataset_id: str, service: Serving, by: Asker) -> DatasetView:
    """Forget a data set; what was uploaded for it is removed, what was registered where it lies stays."""
    return _view(sets.delete_set(service, by, dataset_id))


@router.post("/{dataset_id}/check")
def check(dataset_id: str, asked: Annotated[Checking, Body(examples=[CHECKED])], service: Serving, by: Asker) -> Report:
    """Read all of a data set and say what is wrong with it."""
    return Report.model_validate(sets.check_set(service, by, dataset_id, _reading(asked), asked.split))


@router.post("/{dataset_id}/preview")
def preview(
    dataset_id: str, asked: Annotated[Previewing, Body(examples=[PREVIEWED])], service: Serving, by: Asker
) -> Preview:
    """Show the first rows, with a model as it would see them."""
    return Preview.model_validate(sets.preview_set(service, by, dataset_id, _reading(asked), asked.rows))


def _reading(asked: Reading) -> sets.Reading:
    return sets.Reading(asked.format, asked.columns or None, asked.limit, asked.model, asked.length)


def _blocks(file: UploadFile) -> Iterator[bytes]:
    while block := file.file.read(BLOCK):
        yield block
