"""Conversations in one text: ``{"guanaco": "### Human: ...### Assistant: ..."}``.

The marks of the data set timdettmers/openassistant-guanaco, whose column is ``text``: no column tells such a text from
any other, so name the format by hand or read it with ``--columns guanaco=text``.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, chosen, has, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.markup import hash_turns
from tunesmith.data.turns import conversation
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example


def sniff(row: Row) -> int:
    """Recognise the column that has the name of the format."""
    return 45 if has(row, "guanaco") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation of the turns that are marked in the text."""
    column = chosen(row, "guanaco", "text")
    yield conversation(hash_turns(text(row, column, where), column, where), column, where)


FORMAT = RowFormat(
    name="guanaco",
    summary="text whose turns begin with ### Human: and ### Assistant:",
    columns=("guanaco",),
    optional=("text",),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
