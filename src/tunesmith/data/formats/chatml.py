"""Conversations in one text: ``{"chatml": "<|im_start|>user\\n...<|im_end|>..."}``.

Data sets keep such texts in a column ``text``, as any other: name the format by hand or read it with
``--columns chatml=text``.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, chosen, has, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.markup import chatml_turns
from tunesmith.data.turns import conversation
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example


def sniff(row: Row) -> int:
    """Recognise the column that has the name of the format."""
    return 44 if has(row, "chatml") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation of the turns that are marked in the text."""
    column = chosen(row, "chatml", "text")
    yield conversation(chatml_turns(text(row, column, where), column, where), column, where)


FORMAT = RowFormat(
    name="chatml",
    summary="text whose turns stand between <|im_start|> and <|im_end|>",
    columns=("chatml",),
    optional=("text",),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
