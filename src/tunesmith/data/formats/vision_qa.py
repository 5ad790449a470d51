"""A question about a picture: ``{"image", "question", "answer"}``, or a conversation about one or several.

A picture is a path, relative to the file of the row; ``images`` is a list of them. LLaVA's ``{"image",
"conversations"}`` (https://github.com/haotian-liu/LLaVA) and ``{"images", "messages"}`` are read as well: one question
with its answer, or a conversation whose answers are all learned. ``<image>`` or a part ``{"type": "image"}`` in what
the user says is the place of the next picture. A text model cannot read such rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.columns import Row, chosen, has, has_any, optional_text, text
from tunesmith.data.formats import RowFormat
from tunesmith.data.picture_talks import about, talk
from tunesmith.data.pictures import COLUMNS, picture, pictures
from tunesmith.data.turns import conversation
from tunesmith.spec.errors import Where
from tunesmith.spec.examples import Example, ImageQuestion, Message


def sniff(row: Row) -> int:
    """Recognise a picture with a question and its answer, or with a conversation."""
    return 86 if has_any(row, *COLUMNS) and (has(row, "question", "answer") or has_any(row, *_TALKS)) else 0


def examples(row: Row, where: Where) -> Iterator[Example]:
    """Make a question with its answer, or a conversation where there is more; a ``system`` column comes first."""
    if "question" not in row and has_any(row, *_TALKS):
        yield talk(row, chosen(row, *_TALKS), where, pictures(row, where))
        return
    images = pictures(row, where) or (picture(row, where),)
    question, answer = text(row, "question", where), text(row, "answer", where)
    system = optional_text(row, "system", where)
    if len(images) == 1 and not system:
        yield ImageQuestion(images[0], question, answer, where)
        return
    said = [Message("system", system), Message("user", question), Message("assistant", answer)]
    yield about(images, conversation(said, "question", where), "question", where)


_TALKS = ("conversations", "messages")


FORMAT = RowFormat(
    name="vision_qa",
    summary="a question about a picture, and the answer",
    columns=("image", "question", "answer"),
    optional=("images", "conversations", "messages", "system"),
    produces="image question",
    sniff=sniff,
    examples=examples,
)
