"""A text and the class it belongs to: ``{"text", "label"}``.

A class is a text, a whole number or true and false; ``label_text`` is the name of a numbered one. ``sentence`` in place
of ``text`` is read as well (the data set nyu-mll/glue).
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, chosen, has, has_any, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.labels import label
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, LabelledText


def sniff(row: Row) -> int:
    """Recognise a text with a label."""
    return 20 if has(row, "label") and has_any(row, "text", "sentence") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one text with the name of its class."""
    column = "label_text" if "label_text" in row else "label"
    yield LabelledText(text(row, chosen(row, "text", "sentence"), where), label(row, column, where), where)


FORMAT = RowFormat(
    name="label",
    summary="a text and its class",
    columns=("text", "label"),
    optional=("sentence", "label_text"),
    produces="label",
    sniff=sniff,
    examples=examples,
)
