"""A picture or a recording and its class: ``{"image", "label"}``, ``{"audio", "label"}``.

The path is relative to the file of the row; ``file_name`` in place of ``image`` or ``audio``, as in ``metadata.jsonl``,
is read as well, and a number as the class. ``path`` or ``file`` may name either, by its ending, where no other format
reads the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tunesmith.data import media
from tunesmith.data.columns import Row, chosen, has_any, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.labels import label
from tunesmith.data.pictures import COLUMNS, picture
from tunesmith.data.recordings import COLUMNS as SOUNDS
from tunesmith.data.recordings import FILES, recording
from tunesmith.spec.errors import Where, WrongType
from tunesmith.spec.examples import Example, LabelledImage, LabelledSound

_NAMED: Final = (*COLUMNS, *SOUNDS)
"""Columns that hold a picture or a recording, whatever else stands in the row."""


def sniff(row: Row) -> int:
    """Recognise a picture or recording with a class."""
    if not has_any(row, "label", "class") or has_any(row, "caption", "question", "boxes", "objects"):
        return 0
    if has_any(row, *_NAMED):
        return 87
    return 2 if has_any(row, *FILES) and not has_any(row, "text", "sentence") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one picture or recording with its class."""
    name = label(row, chosen(row, "label", "class"), where)
    if has_any(row, *SOUNDS):
        yield LabelledSound(recording(row, where), name, where)
    elif "file_name" in row and media.is_sound(text(row, "file_name", where)):
        yield LabelledSound(text(row, "file_name", where), name, where)
    elif has_any(row, *FILES) and not has_any(row, *COLUMNS):
        yield _either(recording(row, where), name, chosen(row, *FILES), where)
    else:
        yield LabelledImage(picture(row, where), name, where)


def _either(path: str, name: str, column: str, where: Where) -> LabelledImage | LabelledSound:
    if media.is_sound(path):
        return LabelledSound(path, name, where)
    if media.is_picture(path):
        return LabelledImage(path, name, where)
    raise WrongType(column, where, path, "the path of a picture or a recording")


FORMAT = RowFormat(
    name="labelled_media",
    summary="a picture or a recording and its class",
    columns=("image", "label"),
    optional=("audio", "sound", "audio_path", "audio_filepath", "wav", "file_name", "path", "file", "class"),
    produces="labelled image",
    sniff=sniff,
    examples=examples,
)
