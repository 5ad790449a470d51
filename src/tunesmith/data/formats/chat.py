"""One question and its answer under the names that chats use: ``{"user", "assistant"}``.

``{"prompt", "response"}`` and ``{"query", "response"}`` are read as well; unlike a completion they are written with the
model's chat template.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, has, optional_text, text
from tunesmith.data.formats import RowFormat, openai, sharegpt
from tunesmith.data.turns import conversation
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, Message


def sniff(row: Row) -> int:
    """Recognise a pair of question and answer."""
    return 47 if any(has(row, *pair) for pair in _PAIRS) else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation; in a folder called ``chat`` lists of turns are read as their own formats read them."""
    for column, read in _LISTS.items():
        if has(row, column):
            yield from read(row, where)
            return
    asked, answered = next((pair for pair in _PAIRS if has(row, *pair)), _PAIRS[0])
    messages = [
        Message("system", optional_text(row, "system", where)),
        Message("user", text(row, asked, where)),
        Message("assistant", text(row, answered, where)),
    ]
    yield conversation(messages, answered, where)


_LISTS = {"messages": openai.examples, "conversations": sharegpt.examples}
_PAIRS = (("user", "assistant"), ("prompt", "response"), ("query", "response"))


FORMAT = RowFormat(
    name="chat",
    summary="a user turn and the answer",
    columns=("user", "assistant"),
    optional=("system", "prompt", "query", "response"),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
