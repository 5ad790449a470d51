"""Conversations in one text: ``{"mistral": "<s>[INST] ... [/INST] ...</s>"}``, with ``<<SYS>>`` where there is one.

Data sets keep such texts in a column ``text``, as any other: name the format by hand or read it with
``--columns mistral=text``.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, chosen, has, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.markup import inst_turns
from tunesmith.data.turns import conversation
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example


def sniff(row: Row) -> int:
    """Recognise the column that has the name of the format."""
    return 43 if has(row, "mistral") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation of the turns that are marked in the text."""
    column = chosen(row, "mistral", "text")
    yield conversation(inst_turns(text(row, column, where), column, where), column, where)


FORMAT = RowFormat(
    name="mistral",
    summary="text whose questions stand between [INST] and [/INST]",
    columns=("mistral",),
    optional=("text",),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
