"""One exchange in three columns: ``{"system", "user", "assistant"}``.

Named by hand for a ``text`` column, it reads Llama 2's ``<s>[INST] <<SYS>> ... [/INST] ...</s>``.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, has, optional_text, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.markup import inst_turns
from tunesmith.data.turns import conversation
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, Message


def sniff(row: Row) -> int:
    """Recognise the three speakers as columns."""
    return 66 if has(row, "system", "user", "assistant") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation that begins with the system turn."""
    if "text" in row and "user" not in row:
        yield conversation(inst_turns(text(row, "text", where), "text", where), "text", where)
        return
    messages = [
        Message("system", optional_text(row, "system", where)),
        Message("user", text(row, "user", where)),
        Message("assistant", text(row, "assistant", where)),
    ]
    yield conversation(messages, "assistant", where)


FORMAT = RowFormat(
    name="llama_chat",
    summary="a system turn, a user turn and the answer",
    columns=("system", "user", "assistant"),
    optional=("text",),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
