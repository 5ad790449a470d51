"""Prompts of the training, to replay to an export: what the model was shown, and what it was taught to say."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from tunesmith.data.mixture import read
from tunesmith.spec.errors import DataError, RowFault, Where
from tunesmith.spec.examples import (
    Conversation,
    Example,
    LabelledText,
    Message,
    PlainText,
    Preference,
    PromptCompletion,
)
from tunesmith.worker.where_trained import where_trained

if TYPE_CHECKING:
    from tunesmith.modalities.text.encode import TextEncoder
    from tunesmith.runs.folder import RunFolder

LONGEST: Final = 512
"""Tokens of a row that is replayed: longer ones tell nothing more and take long on a CPU."""
SEEN: Final = 2000
"""First rows that the replayed ones are chosen among."""
PLACES: Final = 8
"""Places in a row where the next token's chances are compared."""

GENERAL: Final = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "What is 12 times 12?",
    "Explain in simple words what a computer does.",
    "Translate 'good morning' into German, French and Spanish.",
    "Name three animals that can fly.",
    "Wie spät ist es in Tokio, wenn es in Berlin 9:05 Uhr ist?",
    "def add(first, second):\n    return first + second\n\nWhat does this program do?",
    "Summarise: the quick brown fox jumps over the lazy dog.",
    "What comes after 1, 1, 2, 3, 5, 8?",
    "Is it true that the earth is round? Answer yes or no.",
    "Give me a recipe for bread, please!",
    "什么是机器学习？",
    "How many days has a year?",
    "Write a haiku about autumn.",
    "I can't open the file '/tmp/notes.txt'; what should I do?",
    'Who wrote "Faust"?',
    "List the colours of the rainbow.",
    "What's the difference between speed and velocity?",
    "Tell me a short joke.",
)
"""What is asked where the training's rows are not known or not there any more."""


@dataclass(frozen=True)
class Replayed:
    """One prompt, as training saw it."""

    messages: list[dict[str, Any]] | None
    """The turns before the answer, for the chat template; None where a bare text is replayed."""
    tools: list[Any] | None
    text: str
    """The bare text; empty where there are messages."""
    prompt: tuple[int, ...]
    """Token ids that the model was shown."""
    answer: tuple[int, ...]
    """Token ids that it was taught, up to the one that ends the answer; none for a text without an answer."""

    @property
    def row(self) -> tuple[int, ...]:
        """Prompt and answer."""
        return (*self.prompt, *self.answer)

    @property
    def places(self) -> list[int]:
        """Places of ``row`` after which the next token is compared: of the answer, the first and the last always."""
        first = len(self.prompt) - 1 if self.answer else 0
        last = len(self.row) - 2 if self.answer else len(self.row) - 1
        count = min(PLACES, last - first + 1)
        return sorted({first + round(step * (last - first) / max(count - 1, 1)) for step in range(count)})


def replayed_rows(
    run: RunFolder | None, encoder: TextEncoder, count: int, *, limit: int | None
) -> tuple[list[Replayed], str]:
    """Return ``count`` prompts of a training, always the same ones, and where they come from.

    ``limit`` is the number of positions that the model sees.
    """
    longest = min(LONGEST, limit or LONGEST)
    rows = [] if run is None else _fitting(_training_rows(run, encoder), longest)
    if rows:
        return random.Random(0).sample(rows, min(count, len(rows))), "training"
    asked = [Conversation((Message("user", text), Message("assistant", ".")), Where("general", 1)) for text in GENERAL]
    general = [row for example in asked for row in _rows(example, encoder)]
    return [Replayed(row.messages, row.tools, row.text, row.prompt, ()) for row in general[:count]], "general"


def _fitting(rows: Iterator[Replayed], longest: int) -> list[Replayed]:
    return [row for row in rows if 0 < len(row.row) <= longest]


def _training_rows(run: RunFolder, encoder: TextEncoder) -> Iterator[Replayed]:
    """Encode the first rows that a run was trained on; none where its data is not there any more."""
    plan = run.plan()
    datasets = [each for each in plan.spec.datasets if not (each.validation or each.test)]
    try:
        with where_trained(run):
            for example in islice(read(datasets), SEEN):
                if not isinstance(example, RowFault):
                    yield from _rows(example, encoder)
    except (DataError, OSError):
        return


def _rows(example: Example, encoder: TextEncoder) -> Iterator[Replayed]:
    """Encode one example as training does; one that the encoder refuses was not trained on."""
    try:
        whole = encoder(example)[0].ids
    except RowFault:
        return
    match example:
        case Conversation(messages=turns):
            yield from _talk(turns, example.tools, example.where, encoder)
        case Preference(messages=turns, chosen=chosen):
            yield from _talk((*turns, *chosen), example.tools, example.where, encoder)
        case PromptCompletion(prompt=prompt):
            yield Replayed(None, None, prompt, tuple(encoder.text(prompt)), ())
        case PlainText(text=text) | LabelledText(text=text):
            yield Replayed(None, None, text, tuple(encoder.text(text) if isinstance(example, PlainText) else whole), ())


def _talk(turns: Sequence[Message], tools: str, where: Where, encoder: TextEncoder) -> Iterator[Replayed]:
    """Ask for the last answer of a conversation, as it will be asked for."""
    last = max(place for place, turn in enumerate(turns) if turn.role == "assistant")
    before = Conversation(tuple(turns[:last]), where, tools)
    messages, offered = encoder.asked(before)
    prompt = tuple(encoder.prompt(before))
    taught = encoder(Conversation((*turns[:last], replace(turns[last], train=True)), where, tools))[-1].ids
    answer = tuple(taught[len(prompt) :]) if tuple(taught[: len(prompt)]) == prompt else ()
    ends = [place for place, token in enumerate(answer) if token in encoder.stop_ids]
    yield Replayed(messages, offered, "", prompt, answer[: ends[-1] + 1] if ends else ())
