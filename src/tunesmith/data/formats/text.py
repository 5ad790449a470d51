"""Running text: ``{"text": "..."}``, a line of a text file, or a bare string in a list."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, has, text
from tunesmith.data.formats import RowFormat
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, PlainText


def sniff(row: Row) -> int:
    """Recognise a text that no other format explains."""
    return 1 if has(row, "text") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one text, as it stands."""
    yield PlainText(text(row, "text", where), where)


FORMAT = RowFormat(
    name="text",
    summary="running text, all of it trained",
    columns=("text",),
    optional=(),
    produces="text",
    sniff=sniff,
    examples=examples,
)
