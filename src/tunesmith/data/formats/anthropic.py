"""One exchange of human and assistant: ``{"human", "assistant"}``.

Named by hand for a ``text`` column, it reads transcripts as the data set Anthropic/hh-rlhf writes them, whose turns
begin with "Human:" and "Assistant:" after an empty line; its pairs of better and worse are ``preference`` rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, has, optional_text, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.markup import transcript_turns
from tunesmith.data.turns import conversation
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, Message


def sniff(row: Row) -> int:
    """Recognise human and assistant as columns."""
    return 62 if has(row, "human", "assistant") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation."""
    if "text" in row and "human" not in row:
        yield conversation(transcript_turns(text(row, "text", where), "text", where), "text", where)
        return
    messages = [
        Message("system", optional_text(row, "system", where)),
        Message("user", text(row, "human", where)),
        Message("assistant", text(row, "assistant", where)),
    ]
    yield conversation(messages, "assistant", where)


FORMAT = RowFormat(
    name="anthropic",
    summary="what the human says and the answer",
    columns=("human", "assistant"),
    optional=("system", "text"),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
