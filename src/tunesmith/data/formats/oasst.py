"""Trees of messages, as OpenAssistant exports them: a whole tree a row, or one message a row.

``{"message_tree_id", "prompt": {"text", "role", "replies": [...]}}`` and ``{"message_id", "parent_id", "text", "role",
"message_tree_id"}``: the data set OpenAssistant/oasst2. The conversation of a tree follows the reply
of the best rank at every message; what was deleted is left out. The messages of a tree stand in rows that follow each
other, as in the published files, so that no more than one tree is held at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf, isnan
from typing import Final

from tunesmith.data.columns import Row, has, optional_text, text
from tunesmith.data.formats import GroupedFormat, PlacedRow
from tunesmith.data.turns import ROLES, conversation
from tunesmith.spec.errors import MissingColumn, Where, WrongType
from tunesmith.spec.examples import Example, Message

_TOGETHER: Final = "the message_id of a row of the same tree; rows of a tree must follow each other"
_Node = tuple[Row, str, Where]
"""A message, what to put before its columns' names, and where it stands."""


def sniff(row: Row) -> int:
    """Recognise a tree with its prompt, or a message with its place in a tree."""
    return 82 if has(row, "message_tree_id", "prompt") or has(row, "message_id", "parent_id", "text", "role") else 0


def group(row: Row, where: Where) -> str | None:
    """Name the tree that a message belongs to; a whole tree stands alone."""
    if "prompt" in row:
        return None
    if "message_tree_id" not in row:
        raise MissingColumn("message_tree_id", where, [str(name) for name in row])
    return text(row, "message_tree_id", where)


def examples(rows: Sequence[PlacedRow]) -> Iterator[Example]:
    """Make one conversation, along the replies of the best rank."""
    first, where = rows[0]
    if "prompt" in first:
        path, column = list(_best_nested(first["prompt"], where)), "prompt"
    else:
        path, column = list(_best_flat(rows)), "text"
    yield conversation([_message(*node) for node in path], column, where)
    _refuse_strays(rows)


def _best_nested(prompt: object, where: Where) -> Iterator[_Node]:
    node, column = prompt, "prompt"
    while True:
        if not isinstance(node, Mapping):
            raise WrongType(column, where, node, "a message with text, role and replies")
        yield node, f"{column}.", where
        replies = node.get("replies") or []
        if not isinstance(replies, list):
            raise WrongType(f"{column}.replies", where, replies, "a list of messages")
        places = [(reply, f"{column}.replies[{place}]") for place, reply in enumerate(replies)]
        kept = [(reply, name) for reply, name in places if not _is_deleted(reply)]
        if not kept:
            return
        node, column = min(kept, key=lambda each: _rank(each[0], f"{each[1]}.rank", where))


def _best_flat(rows: Sequence[PlacedRow]) -> Iterator[_Node]:
    children: dict[str, list[PlacedRow]] = {}
    for row, where in rows:
        children.setdefault(optional_text(row, "parent_id", where), []).append((row, where))
    if "" not in children:
        raise WrongType("parent_id", rows[0][1], rows[0][0].get("parent_id"), _TOGETHER)
    row, where = children[""][0]
    seen: set[str] = set()
    while True:
        name = text(row, "message_id", where)
        if name in seen:
            raise WrongType("message_id", where, name, "another name than the messages before it have")
        seen.add(name)
        yield row, "", where
        kept = [each for each in children.get(name, []) if not _is_deleted(each[0])]
        if not kept:
            return
        row, where = min(kept, key=lambda each: _rank(each[0], "rank", each[1]))


def _refuse_strays(rows: Sequence[PlacedRow]) -> None:
    """Name a message whose parent does not stand in the rows of its tree."""
    if "prompt" in rows[0][0]:
        return
    names = {optional_text(row, "message_id", where) for row, where in rows}
    for row, where in rows:
        parent = optional_text(row, "parent_id", where)
        if parent and parent not in names:
            raise WrongType("parent_id", where, parent, _TOGETHER)


def _message(row: Row, prefix: str, where: Where) -> Message:
    named = {f"{prefix}{name}": value for name, value in row.items()}
    spoken = text(named, f"{prefix}role", where)
    role = ROLES.get(spoken.lower())
    if role not in ("user", "assistant"):
        raise WrongType(f"{prefix}role", where, spoken, "prompter or assistant")
    return Message(role, text(named, f"{prefix}text", where))


def _is_deleted(reply: object) -> bool:
    return isinstance(reply, Mapping) and reply.get("deleted") in (True, "true", "True")


def _rank(reply: object, column: str, where: Where) -> float:
    """Return the place that raters gave a reply; one without comes last."""
    rank = reply.get("rank") if isinstance(reply, Mapping) else None
    if rank is None or rank == "":
        return inf
    try:
        found = float(rank) if isinstance(rank, int | float | str) else None
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise WrongType(column, where, rank, "a number")
    return inf if isnan(found) else found


FORMAT = GroupedFormat(
    name="oasst",
    summary="a tree of messages, a row each or all in one",
    columns=("message_id", "parent_id", "message_tree_id", "text", "role"),
    optional=("rank", "deleted", "prompt"),
    produces="conversation",
    sniff=sniff,
    group=group,
    examples=examples,
)
