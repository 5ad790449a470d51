"""A system prompt, a question and its response: ``{"system_prompt", "question", "response"}``, as OpenOrca.

the data set Open-Orca/OpenOrca; ``answer`` in place of ``response`` is read as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, chosen, has, has_any, optional_text, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.turns import conversation
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, Message


def sniff(row: Row) -> int:
    """Recognise a system prompt with a question and its response."""
    return 80 if has(row, "system_prompt", "question") and has_any(row, "response", "answer") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation that begins with the system prompt."""
    answer = chosen(row, "response", "answer")
    messages = [
        Message("system", optional_text(row, "system_prompt", where)),
        Message("user", text(row, "question", where)),
        Message("assistant", text(row, answer, where)),
    ]
    yield conversation(messages, answer, where)


FORMAT = RowFormat(
    name="orca",
    summary="a system prompt, a question, and the response",
    columns=("system_prompt", "question", "response"),
    optional=("answer",),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
