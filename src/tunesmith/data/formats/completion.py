"""A prompt and how it goes on: ``{"prompt", "completion"}``, with no chat template around them."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, has, text
from tunesmith.data.formats import RowFormat
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, PromptCompletion


def sniff(row: Row) -> int:
    """Recognise a prompt with its completion."""
    return 50 if has(row, "prompt", "completion") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one pair, both sides as they stand."""
    yield PromptCompletion(text(row, "prompt", where), text(row, "completion", where), where)


FORMAT = RowFormat(
    name="completion",
    summary="a bare prompt and its completion",
    columns=("prompt", "completion"),
    optional=(),
    produces="completion",
    sniff=sniff,
    examples=examples,
)
