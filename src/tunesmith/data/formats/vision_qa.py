"""A question about a picture: ``{"image", "question", "answer"}``.

The picture is a path, relative to the file of the row. LLaVA's ``{"image", "conversations"}`` is read as well
(https://github.com/haotian-liu/LLaVA): one question with its answer, or a conversation whose answers are all learned.
A text model cannot read such rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, chosen, has, has_any, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.pictures import COLUMNS, picture
from tunesmith.data.turns import turns
from tunesmith.spec.errors import Where, WrongType
from tunesmith.spec.examples import Example, ImageQuestion, Message, PictureTalk


def sniff(row: Row) -> int:
    """Recognise a picture with a question and its answer, or with a conversation."""
    return 86 if has_any(row, *COLUMNS) and (has(row, "question", "answer") or has_any(row, *_TALKS)) else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make a question with its answer, or a conversation where there are several."""
    image = picture(row, where)
    if "question" in row or not has_any(row, *_TALKS):
        yield ImageQuestion(image, text(row, "question", where), text(row, "answer", where), where)
        return
    column = chosen(row, *_TALKS)
    said = turns(row, column, where)
    spoken = [turn for turn in said if turn.role != "system"]
    if [turn.role for turn in spoken] != ["user", "assistant"] * (len(spoken) // 2):
        raise WrongType(column, where, [turn.role for turn in spoken], "a list in which user and assistant take turns")
    questions = [_question(asked, column, where) for asked in spoken[::2]]
    if len(questions) == 1:
        yield ImageQuestion(image, questions[0], spoken[1].content, where)
        return
    yield PictureTalk((image,), tuple(said), where)


_TALKS = ("conversations", "messages")


def _question(asked: Message, column: str, where: Where) -> str:
    question = asked.content.replace("<image>", "").strip()
    if not question:
        raise WrongType(column, where, asked.content, "a list whose questions say more than '<image>'")
    return question


FORMAT = RowFormat(
    name="vision_qa",
    summary="a question about a picture, and the answer",
    columns=("image", "question", "answer"),
    optional=("images", "conversations", "messages"),
    produces="image question",
    sniff=sniff,
    examples=examples,
)
