"""`/upload`: the text of a file, for a prompt. Nothing of it is kept."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, UploadFile

from tunesmith.spec.errors import BadValue
from tunesmith.spec.recipe import Part

router = APIRouter(tags=["model"])
WANTED: Final = "a file of UTF-8 text, as the model reads nothing else"


class FileForm(Part):
    """A file."""

    file: UploadFile
    """Text in UTF-8."""


class FileText(Part):
    """What a file says."""

    filename: str
    size: int
    """Bytes."""
    content_type: str
    text: str


@router.post("/upload")
def upload(form: Annotated[FileForm, Form(media_type="multipart/form-data")]) -> FileText:
    """Return the text of a file; what is no text is refused, as the model reads nothing else."""
    content = form.file.file.read()
    name = (form.file.filename or "file").replace("\\", "/").rpartition("/")[2]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadValue("file", name, WANTED) from None
    if "\0" in text:
        raise BadValue("file", name, WANTED)
    kind = form.file.content_type or "application/octet-stream"
    return FileText(filename=name, size=len(content), content_type=kind, text=text)
