"""Conversations in a column ``turns``: ``{"turns": [{"user": "...", "assistant": "..."}, ...]}``.

An entry may also be one turn (``role`` and ``content``, ``from`` and ``value``), a list of question and answer, or bare
text, where user and assistant take turns.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, has, optional_text
from tunesmith.data.formats import RowFormat
from tunesmith.data.turns import conversation, turns
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, Message


def sniff(row: Row) -> int:
    """Recognise a list of turns."""
    return 68 if has(row, "turns") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation; a ``system`` column comes before the turns."""
    system = Message("system", optional_text(row, "system", where))
    yield conversation([system, *turns(row, "turns", where)], "turns", where)


FORMAT = RowFormat(
    name="multi_turn",
    summary="a list of turns, or of pairs of question and answer",
    columns=("turns",),
    optional=("system",),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
