"""Conversations as bare texts: ``{"conversations": ["...", "..."], "source": "..."}``, user and assistant in turn.

the data set GAIR/lima
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, has, has_only
from tunesmith.data.formats import RowFormat
from tunesmith.data.turns import conversation, turns
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example


def sniff(row: Row) -> int:
    """Recognise conversations with their source and no other column."""
    return 76 if has(row, "conversations", "source") and has_only(row, "conversations", "source") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation."""
    yield conversation(turns(row, "conversations", where), "conversations", where)


FORMAT = RowFormat(
    name="lima",
    summary="a list of texts in which user and assistant take turns",
    columns=("conversations", "source"),
    optional=(),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
