"""Conversations as chat APIs take them: ``{"messages": [{"role": "user", "content": "..."}, ...]}``.

Content may be a list of text parts; ``"weight": 0`` keeps an assistant turn out of training.
https://platform.openai.com/docs/guides/supervised-fine-tuning
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row
from tunesmith.data.formats import RowFormat
from tunesmith.data.turns import conversation, turns
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example


def sniff(row: Row) -> int:
    """Recognise a list of messages."""
    return 9 if "messages" in row else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation."""
    yield conversation(turns(row, "messages", where), "messages", where)


FORMAT = RowFormat(
    name="openai",
    summary="messages with role and content",
    columns=("messages",),
    optional=(),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
