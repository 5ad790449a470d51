"""A better and a worse answer: ``{"prompt", "chosen", "rejected"}``, texts or lists of turns.

Also read: two conversations that share their beginning, as lists or as HH-RLHF's transcripts
(the data set Anthropic/hh-rlhf); OpenAI's ``{"input": {"messages"}, "preferred_output",
"non_preferred_output"}`` (https://platform.openai.com/docs/guides/direct-preference-optimization); and
``{"conversations", "chosen", "rejected"}`` with one turn on either side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tunesmith.data.columns import Row, has, has_any, optional_text, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.markup import transcript_turns
from tunesmith.data.tools import tools
from tunesmith.data.turns import turns, turns_of
from tunesmith.spec.errors import MissingColumn, Where, WrongType
from tunesmith.spec.examples import Example, Message, Preference

_OPENAI: Final = ("preferred_output", "non_preferred_output")
_PLAIN: Final = ("chosen", "rejected")
_ASKED: Final = ("prompt", "question", "instruction", "query", "conversations", "messages")


def sniff(row: Row) -> int:
    """Recognise two answers of which one is better."""
    return 90 if has(row, *_PLAIN) or has(row, *_OPENAI) else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one preference: the turns that both have in common, and what follows on either side."""
    columns = _OPENAI if has_any(row, *_OPENAI) else _PLAIN
    before, offered = _given(row, where) if columns == _OPENAI else _asked(row, where)
    better, worse = (_side(row, column, where, asked=_asks(before)) for column in columns)
    if better[0].role == worse[0].role != "assistant":
        before, better, worse = _parted(before, better, worse)
    before = [turn for turn in before if turn.role != "system" or turn.content]
    _refuse_unusable(before, better, worse, columns, where)
    yield Preference(tuple(before), tuple(better), tuple(worse), where, offered)


def _given(row: Row, where: Where) -> tuple[list[Message], str]:
    """Read what OpenAI's shape has below ``input``."""
    given = row.get("input")
    if not isinstance(given, Mapping):
        raise WrongType("input", where, given, "an object with messages")
    return turns_of(given.get("messages"), "input.messages", where), tools(given.get("tools"), "input.tools", where)


def _asked(row: Row, where: Where) -> tuple[list[Message], str]:
    """Read the prompt that stands beside the answers, if there is one, and the tools."""
    system, offered = Message("system", optional_text(row, "system", where)), tools(row.get("tools"), "tools", where)
    column = next((column for column in _ASKED if column in row), None)
    if column is None:
        return [system], offered
    if isinstance(row[column], list):
        return [system, *turns(row, column, where)], offered
    asked = text(row, column, where)
    given = optional_text(row, "input", where) if column == "instruction" else ""
    return [system, Message("user", f"{asked}\n\nInput: {given}" if given else asked)], offered


def _side(row: Row, column: str, where: Where, *, asked: bool) -> list[Message]:
    if column not in row:
        raise MissingColumn(column, where, [str(name) for name in row])
    value = row[column]
    if isinstance(value, list):
        return turns_of(value, column, where)
    if isinstance(value, Mapping):
        return turns_of([value], column, where)
    answer = text(row, column, where)
    return [Message("assistant", answer)] if asked else transcript_turns(answer, column, where)


def _asks(turns: list[Message]) -> bool:
    return any(turn.role == "user" for turn in turns)


def _parted(
    before: list[Message], better: list[Message], worse: list[Message]
) -> tuple[list[Message], list[Message], list[Message]]:
    """Take two whole conversations apart where they differ; of what stands beside them only the system turn counts."""
    pairs = enumerate(zip(better, worse, strict=False))
    shared = next((place for place, (one, other) in pairs if one != other), min(len(better), len(worse)))
    system = [turn for turn in before if turn.role == "system" and better[0].role != "system"]
    return [*system, *better[:shared]], better[shared:], worse[shared:]


def _refuse_unusable(
    before: list[Message], better: list[Message], worse: list[Message], columns: tuple[str, str], where: Where
) -> None:
    if better == worse:
        raise WrongType(columns[1], where, "the same as the better one", "another answer")
    for column, side in zip(columns, (better, worse), strict=True):
        roles = [turn.role for turn in side]
        if not roles or roles[0] != "assistant" or roles[-1] != "assistant":
            raise WrongType(column, where, roles, "an answer of the assistant to what both sides begin with")
    if not _asks(before):
        raise WrongType(columns[0], where, [turn.role for turn in before], "an answer to something; add a prompt")
    if any(turn.role == "system" for turn in before[1:]):
        raise WrongType(columns[0], where, "a later system turn", "a list with its system turn first")


FORMAT = RowFormat(
    name="preference",
    summary="a prompt, the better answer and the worse one",
    columns=("prompt", "chosen", "rejected"),
    optional=("system", "question", "instruction", "query", "conversations", "messages", "input", "tools", *_OPENAI),
    produces="preference",
    sniff=sniff,
    examples=examples,
)
