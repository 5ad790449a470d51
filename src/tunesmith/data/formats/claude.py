"""One exchange of human and assistant, written with capitals: ``{"Human", "Assistant"}``."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, chosen, has, optional_text, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.turns import conversation
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, Message


def sniff(row: Row) -> int:
    """Recognise Human and Assistant as columns."""
    return 60 if has(row, "Human", "Assistant") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation."""
    messages = [
        Message("system", optional_text(row, chosen(row, "System", "system"), where)),
        Message("user", text(row, "Human", where)),
        Message("assistant", text(row, "Assistant", where)),
    ]
    yield conversation(messages, "Assistant", where)


FORMAT = RowFormat(
    name="claude",
    summary="what the Human says and the answer",
    columns=("Human", "Assistant"),
    optional=("System", "system"),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
