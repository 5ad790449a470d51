"""A picture and what it shows: ``{"image", "caption"}``.

The picture is a path, relative to the file of the row; ``text`` or ``prompt`` in place of ``caption`` is read as well.
``file_name``, as in ``metadata.jsonl``, may also name a recording: then the text is what is said in it. A text model
cannot read such rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tunesmith.data import media
from tunesmith.data.columns import Row, chosen, has_any, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.pictures import COLUMNS, picture
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import CaptionedImage, Example, Speech

_CAPTIONS: Final = ("caption", "text", "prompt")


def sniff(row: Row) -> int:
    """Recognise a picture with a caption."""
    return 84 if has_any(row, *COLUMNS) and has_any(row, *_CAPTIONS) else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one picture with its caption."""
    name, said = picture(row, where), text(row, chosen(row, *_CAPTIONS), where)
    if "file_name" in row and media.is_sound(name):
        yield Speech(name, said, where)
    else:
        yield CaptionedImage(name, said, where)


FORMAT = RowFormat(
    name="vision",
    summary="a picture and what it shows",
    columns=("image", "caption"),
    optional=("images", "image_path", "file_name", "text", "prompt"),
    produces="caption",
    sniff=sniff,
    examples=examples,
)
