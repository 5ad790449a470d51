"""Questions and answers: ``{"question", "answer"}``, with a context where there is one.

SQuAD's ``answers: {"text": [...]}`` is read too; the first answer is taken (https://rajpurkar.github.io/SQuAD-explorer/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tunesmith.data.columns import Row, optional_text, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.turns import conversation
from tunesmith.spec.errors import EmptyRow, Where, WrongType
from tunesmith.spec.examples import Example, Message


def sniff(row: Row) -> int:
    """Recognise a question with an answer, or with SQuAD's answers."""
    return 4 if "question" in row and ("answer" in row or "answers" in row) else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation, the context above the question."""
    question, context = text(row, "question", where), optional_text(row, "context", where)
    asked = f"Context: {context}\n\nQuestion: {question}" if context else question
    yield conversation([Message("user", asked), Message("assistant", _answer(row, where))], "answer", where)


def _answer(row: Row, where: Where) -> str:
    if "answer" in row or "answers" not in row:
        return text(row, "answer", where)
    answers = row["answers"]
    texts = answers.get("text") if isinstance(answers, Mapping) else None
    if not isinstance(texts, list):
        raise WrongType("answers", where, answers, "an object with a list of texts, as in {'text': ['...']}")
    if not texts:
        raise EmptyRow("answers", where)
    return text({"answers.text[0]": texts[0]}, "answers.text[0]", where)


FORMAT = RowFormat(
    name="qa",
    summary="a question, an optional context, and the answer",
    columns=("question", "answer"),
    optional=("context", "answers"),
    produces="conversation",
    sniff=sniff,
    examples=examples,
)
