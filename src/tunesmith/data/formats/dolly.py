"""Instructions with a context: ``{"instruction", "context", "response", "category"}``, as Databricks Dolly 15k.

the data set databricks/databricks-dolly-15k; ``{"instruction", "response"}`` is read as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, chosen, has, optional_text, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.turns import conversation
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, Message


def sniff(row: Row) -> int:
    """Recognise an instruction with its response."""
    return 54 if has(row, "instruction", "response") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation, the context below the instruction."""
    instruction, context = text(row, "instruction", where), optional_text(row, chosen(row, "context", "input"), where)
    asked = f"{instruction}\n\nContext: {context}" if context else instruction
    system = Message("system", optional_text(row, "system", where))
    answer = Message("assistant", text(row, "response", where))
    yield conversation([system, Message("user", asked), answer], "response", where)


FORMAT = RowFormat(
    name="dolly",
    summary="an instruction, an optional context, and the response",
    columns=("instruction", "response"),
    optional=("context", "input", "system"),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
