"""A picture or a recording and its class: ``{"image", "label"}``, ``{"audio", "label"}``.

The path is relative to the file of the row; ``file_name`` in place of ``image`` or ``audio``, as in ``metadata.jsonl``,
is read as well, and a number as the class.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data import media
from tunesmith.data.columns import Row, chosen, has_any, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.labels import label
from tunesmith.data.pictures import COLUMNS, picture
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, LabelledImage, LabelledSound

_SOUNDS = ("audio", "sound")


def sniff(row: Row) -> int:
    """Recognise a picture or recording with a class."""
    if not has_any(row, "label", "class") or has_any(row, "caption", "question", "boxes", "objects"):
        return 0
    return 87 if has_any(row, *COLUMNS, *_SOUNDS, "file_name") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one picture or recording with its class."""
    name = label(row, chosen(row, "label", "class"), where)
    if has_any(row, *_SOUNDS):
        yield LabelledSound(text(row, chosen(row, *_SOUNDS), where), name, where)
    elif "file_name" in row and media.is_sound(text(row, "file_name", where)):
        yield LabelledSound(text(row, "file_name", where), name, where)
    else:
        yield LabelledImage(picture(row, where), name, where)


FORMAT = RowFormat(
    name="labelled_media",
    summary="a picture or a recording and its class",
    columns=("image", "label"),
    optional=("audio", "file_name", "class"),
    produces="labelled image",
    sniff=sniff,
    examples=examples,
)
