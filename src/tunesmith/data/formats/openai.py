"""Conversations as chat APIs take them: ``{"messages": [{"role": "user", "content": "..."}, ...]}``.

Content may be a list of text parts; ``"weight": 0`` keeps an assistant turn out of training. What the user says may
hold pictures as parts, ``{"type": "image", "image": path}`` or ``{"type": "image_url", "image_url": {"url": path}}``.
https://platform.openai.com/docs/guides/supervised-fine-tuning
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, has
from tunesmith.data.formats import RowFormat
from tunesmith.data.picture_talks import talk
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example


def sniff(row: Row) -> int:
    """Recognise a list of messages."""
    return 78 if has(row, "messages") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation, about pictures where parts name some; a ``system`` column comes before the messages."""
    yield talk(row, "messages", where)


FORMAT = RowFormat(
    name="openai",
    summary="messages with role and content",
    columns=("messages",),
    optional=("system",),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
