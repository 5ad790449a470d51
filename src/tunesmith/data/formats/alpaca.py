"""Instruction tuning: ``{"instruction", "output"}``, with an input where there is one.

https://github.com/tatsu-lab/stanford_alpaca; a ``system`` turn and a ``history`` of [question, answer] pairs are usual
additions.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, has, optional_text, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.turns import conversation
from tunesmith.spec.errors import Where, WrongType
from tunesmith.spec.examples import Example, Message


def sniff(row: Row) -> int:
    """Recognise an instruction with its output."""
    return 56 if has(row, "instruction", "output") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation, the input below the instruction."""
    messages = [Message("system", optional_text(row, "system", where)), *_history(row, where)]
    instruction, given = text(row, "instruction", where), optional_text(row, "input", where)
    messages.append(Message("user", f"{instruction}\n\nInput: {given}" if given else instruction))
    messages.append(Message("assistant", text(row, "output", where)))
    yield conversation(messages, "output", where)


def _history(row: Row, where: Where) -> Iterator[Message]:
    history = row.get("history") or []
    if not isinstance(history, list):
        raise WrongType("history", where, history, "a list of [question, answer] pairs")
    for place, pair in enumerate(history):
        if not isinstance(pair, list) or len(pair) != 2:
            raise WrongType(f"history[{place}]", where, pair, "a pair of question and answer")
        turns = {f"history[{place}][{side}]": value for side, value in enumerate(pair)}
        question, answer = (text(turns, name, where) for name in turns)
        yield Message("user", question)
        yield Message("assistant", answer)


FORMAT = RowFormat(
    name="alpaca",
    summary="an instruction, an optional input, and the output",
    columns=("instruction", "output"),
    optional=("input", "system", "history"),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
