"""Conversations as ShareGPT exports them: ``{"conversations": [{"from": "human", "value": "..."}, ...]}``.

Data sets that write ``role`` and ``content`` inside ``conversations`` are read as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, optional_text
from tunesmith.data.formats import RowFormat
from tunesmith.data.turns import conversation, turns
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, Message


def sniff(row: Row) -> int:
    """Recognise a list of conversations' turns."""
    return 8 if "conversations" in row else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation; a ``system`` column comes before the turns."""
    messages = turns(row, "conversations", where)
    yield conversation([*_system(row, where), *messages], "conversations", where)


def _system(row: Row, where: Where) -> Iterator[Message]:
    system = optional_text(row, "system", where)
    if system:
        yield Message("system", system)


FORMAT = RowFormat(
    name="sharegpt",
    summary="turns with from and value",
    columns=("conversations",),
    optional=("system",),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
