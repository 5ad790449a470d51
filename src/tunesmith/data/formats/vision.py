"""A picture and what it shows: ``{"image", "caption"}``.

The picture is a path, relative to the file of the row; ``text`` in place of ``caption`` is read as well. A text model
cannot read such rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, chosen, has_any, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.pictures import COLUMNS, picture
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import CaptionedImage, Example


def sniff(row: Row) -> int:
    """Recognise a picture with a caption."""
    return 84 if has_any(row, *COLUMNS) and has_any(row, "caption", "text") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one picture with its caption."""
    yield CaptionedImage(picture(row, where), text(row, chosen(row, "caption", "text"), where), where)


FORMAT = RowFormat(
    name="vision",
    summary="a picture and what it shows",
    columns=("image", "caption"),
    optional=("images", "text"),
    produces="caption",
    sniff=sniff,
    examples=examples,
)
