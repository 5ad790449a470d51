"""Conversations as FastChat trains Vicuna on: ``{"id", "conversations": [{"from": "human", "value": "..."}, ...]}``.

https://github.com/lm-sys/FastChat; named by hand for a ``text`` column, it reads Vicuna's own writing
(``A chat ... USER: ... ASSISTANT: ...</s>``).
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, has, has_only, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.markup import spoken_turns
from tunesmith.data.turns import conversation, turns
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example


def sniff(row: Row) -> int:
    """Recognise conversations with an id and no other column."""
    return 74 if has(row, "id", "conversations") and has_only(row, "id", "conversations") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation."""
    if "text" in row and "conversations" not in row:
        yield conversation(spoken_turns(text(row, "text", where), "text", where), "text", where)
        return
    yield conversation(turns(row, "conversations", where), "conversations", where)


FORMAT = RowFormat(
    name="vicuna",
    summary="numbered conversations, turns with from and value",
    columns=("id", "conversations"),
    optional=("text",),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
