"""Makes examples of turns that may show pictures: as ``<image>`` in what the user says, or as parts of a turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tunesmith.data.columns import Row, optional_text
from tunesmith.data.pictures import path
from tunesmith.data.turns import ROLES, conversation, turns
from tunesmith.spec.errors import Where, WrongType
from tunesmith.spec.examples import Conversation, ImageQuestion, Message, PictureTalk

PLACE: Final = "<image>"
"""How data sets write where a picture stands."""

_SOURCES: Final = ("image", "image_url", "url", "path")
"""Where a part of a turn names its picture."""


def talk(
    row: Row, column: str, where: Where, held: Sequence[str] | None = None
) -> Conversation | ImageQuestion | PictureTalk:
    """Make a conversation of a column of turns; a ``system`` column comes before them.

    The pictures are those ``held`` in a column of their own (None: the row has no such column), or those that parts of
    turns name. Without either and without a part that is a picture, ``<image>`` is a word like any other.

    Raises:
        RowFault: as ``turns`` and ``conversation``, or there are not as many places as pictures.
    """
    value, parts = _written(row.get(column), column, where)
    spoken = turns({**row, column: value} if parts else row, column, where)
    said = conversation([Message("system", optional_text(row, "system", where)), *spoken], column, where)
    named = [part for part in parts if part]
    if held and named and list(held) != named:
        raise WrongType(column, where, named, "a list whose parts name no other pictures than the row")
    if not parts and held is None:
        return said
    return about(named or held or (), said, column, where)


def about(
    images: Sequence[str], said: Conversation, column: str, where: Where
) -> Conversation | ImageQuestion | PictureTalk:
    """Make a conversation about pictures, or the question that it is; pictures without places come first.

    Raises:
        WrongType: there are not as many places as pictures, a question says nothing, or user and assistant do not take
            turns.
    """
    places = sum(turn.content.count(PLACE) for turn in said.messages if turn.role == "user")
    if places and places != len(images):
        count = f"{places} place(s) for {len(images)} picture(s)"
        raise WrongType(column, where, count, f"a list with as many places ({PLACE}, or parts) as pictures")
    if not images:
        return said
    spoken = [turn for turn in said.messages if turn.role != "system"]
    if [turn.role for turn in spoken] != ["user", "assistant"] * (len(spoken) // 2):
        raise WrongType(column, where, [turn.role for turn in spoken], "a list in which user and assistant take turns")
    questions = [_question(asked, column, where) for asked in spoken[::2]]
    if len(images) == 1 and _is_question(said.messages, places):
        return ImageQuestion(images[0], questions[0], spoken[1].content, where)
    return PictureTalk(tuple(images), said.messages, where)


def _is_question(messages: Sequence[Message], places: int) -> bool:
    """Whether a picture, a question and its answer are all: the picture comes first, and nobody makes a call."""
    if len(messages) != 2 or messages[1].tool_calls:
        return False
    return not places or messages[0].content.lstrip().startswith(PLACE)


def _question(asked: Message, column: str, where: Where) -> str:
    question = asked.content.replace(PLACE, "").strip()
    if not question:
        raise WrongType(column, where, asked.content, f"a list whose questions say more than '{PLACE}'")
    return question


def _written(value: object, column: str, where: Where) -> tuple[object, list[str | None]]:
    """Return turns in which the parts that are pictures are texts, and what each of them names, None for nothing."""
    found: list[str | None] = []
    if not isinstance(value, list):
        return value, found
    return [_turn(turn, f"{column}[{place}]", where, found) for place, turn in enumerate(value)], found


def _turn(turn: object, name: str, where: Where, found: list[str | None]) -> object:
    if not isinstance(turn, Mapping):
        return turn
    role, key = (turn["from"], "value") if "from" in turn else (turn.get("role"), "content")
    parts = turn.get(key)
    if not isinstance(parts, list) or not isinstance(role, str) or ROLES.get(role.lower()) != "user":
        return turn
    written: list[object] = []
    for place, part in enumerate(parts):
        if isinstance(part, Mapping) and _is_picture(part):
            found.append(_named(part, f"{name}.{key}[{place}]", where))
            written.append({"type": "text", "text": PLACE})
        else:
            written.append(part)
    return {**turn, key: written}


def _is_picture(part: Mapping[object, object]) -> bool:
    """Whether a part is a picture, or the place of one."""
    kind = part.get("type")
    if kind is None or kind == "image_url":
        return part.get("image") is not None or part.get("image_url") is not None
    return kind == "image"


def _named(part: Mapping[object, object], name: str, where: Where) -> str | None:
    key = next((key for key in _SOURCES if part.get(key) is not None), None)
    if key is None:
        return None
    value = part[key]
    if key == "image_url" and isinstance(value, Mapping):
        return path(value.get("url"), f"{name}.{key}.url", where)
    return path(value, f"{name}.{key}", where)
