"""Conversations as chat APIs take them: ``{"messages": [{"role": "user", "content": "..."}, ...]}``.

Content may be a list of text parts; ``"weight": 0`` keeps an assistant turn out of training.
https://platform.openai.com/docs/guides/supervised-fine-tuning
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, has, optional_text
from tunesmith.data.formats import RowFormat
from tunesmith.data.turns import conversation, turns
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, Message


def sniff(row: Row) -> int:
    """Recognise a list of messages."""
    return 78 if has(row, "messages") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation; a ``system`` column comes before the messages."""
    system = Message("system", optional_text(row, "system", where))
    yield conversation([system, *turns(row, "messages", where)], "messages", where)


FORMAT = RowFormat(
    name="openai",
    summary="messages with role and content",
    columns=("messages",),
    optional=("system",),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
