"""Conversations as ShareGPT exports them: ``{"conversations": [{"from": "human", "value": "..."}, ...]}``.

Data sets that write ``role`` and ``content`` inside ``conversations`` are read as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, has, optional_text
from tunesmith.data.formats import RowFormat
from tunesmith.data.turns import conversation, turns
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, Message


def sniff(row: Row) -> int:
    """Recognise a list of conversations' turns."""
    return 70 if has(row, "conversations") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation; a ``system`` column comes before the turns."""
    system = Message("system", optional_text(row, "system", where))
    yield conversation([system, *turns(row, "conversations", where)], "conversations", where)


FORMAT = RowFormat(
    name="sharegpt",
    summary="turns with from and value",
    columns=("conversations",),
    optional=("system",),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
