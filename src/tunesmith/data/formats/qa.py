"""Questions and answers: ``{"question", "answer"}``, with a context where there is one.

SQuAD's ``answers: {"text": [...]}`` is read too; the first answer is taken (https://rajpurkar.github.io/SQuAD-explorer/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tunesmith.data.columns import Row, has, has_any, optional_text, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.turns import conversation
from tunesmith.spec.errors import EmptyRow, Where, WrongType
from tunesmith.spec.examples import Example, Message


def sniff(row: Row) -> int:
    """Recognise a question with an answer, or with SQuAD's answers."""
    return 52 if has(row, "question") and has_any(row, "answer", "answers") else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make one conversation, the context above the question."""
    question, context = text(row, "question", where), optional_text(row, "context", where)
    asked = f"Context: {context}\n\nQuestion: {question}" if context else question
    column = "answers" if "answers" in row and "answer" not in row else "answer"
    answer = _squad(row[column], where) if column == "answers" else text(row, column, where)
    yield conversation([Message("user", asked), Message("assistant", answer)], column, where)


def _squad(answers: object, where: Where) -> str:
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
