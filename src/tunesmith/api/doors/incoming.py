"""Files that come with a form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from fastapi import UploadFile

from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.service.datasets.files import File, store_file

PIECE: Final = 1 << 20
"""Bytes handed on at once."""


def stored(service: Service, by: Principal, file: UploadFile, purpose: str) -> File:
    """Store the file of a form and return it.

    Raises: as ``store_file``.
    """
    return store_file(service, by, name=file.filename or "data", purpose=purpose, chunks=pieces(file.file))


def named(written: str) -> str:
    """Return what a job calls data: the id of an upload by its kind, anything else as it was written."""
    kind = next((kind for kind in ("file", "dataset") if written.startswith(f"{kind}-")), None)
    return written if kind is None else f"{kind}:{written}"


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield what a file holds."""
    while piece := file.read(PIECE):
        yield piece
