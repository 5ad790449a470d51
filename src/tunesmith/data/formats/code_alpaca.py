"""Instructions for code: Alpaca's ``{"instruction", "input", "output"}`` with the language in ``lang``.

https://github.com/sahil280114/codealpaca; without a language its rows are Alpaca's.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, chosen, has, has_any, optional_text, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.turns import conversation
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, Message


def sniff(row: Row) -> int:
    """Recognise an instruction with its output and a language."""
    return 58 if has(row, "instruction", "output") and has_any(row, *_LANGUAGE) else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation: the instruction, the language and the input below it."""
    parts = [text(row, "instruction", where)]
    language, given = optional_text(row, chosen(row, *_LANGUAGE), where), optional_text(row, "input", where)
    parts += [f"Language: {language}"] if language else []
    parts += [f"Input: {given}"] if given else []
    system = Message("system", optional_text(row, "system", where))
    answer = Message("assistant", text(row, "output", where))
    yield conversation([system, Message("user", "\n\n".join(parts)), answer], "output", where)


_LANGUAGE = ("lang", "language", "programming_language")


FORMAT = RowFormat(
    name="code_alpaca",
    summary="an instruction for code, its language, an optional input, and the output",
    columns=("instruction", "output", "lang"),
    optional=("input", "language", "programming_language", "system"),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
