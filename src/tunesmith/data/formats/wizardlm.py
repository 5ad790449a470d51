"""Evolved instructions: ``{"instruction", "output"}`` and nothing else, or ``{"idx", "conversations"}``.

The two shapes of WizardLM's Evol-Instruct: https://github.com/nlpxucan/WizardLM
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, has, has_only, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.turns import conversation, turns
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, Message


def sniff(row: Row) -> int:
    """Recognise an instruction with its output and no other column, or numbered conversations."""
    return 72 if has(row, "idx", "conversations") or _bare(row) else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation, as it stands."""
    if "conversations" in row:
        yield conversation(turns(row, "conversations", where), "conversations", where)
        return
    instruction = Message("user", text(row, "instruction", where))
    yield conversation([instruction, Message("assistant", text(row, "output", where))], "output", where)


def _bare(row: Row) -> bool:
    return has(row, "instruction", "output") and has_only(row, "instruction", "output", "idx")


FORMAT = RowFormat(
    name="wizardlm",
    summary="an instruction and its output alone",
    columns=("instruction", "output"),
    optional=("idx", "conversations"),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
