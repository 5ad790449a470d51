"""Text from tokens as they come: whole characters only, and where a stop text ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

BROKEN = "\ufffd"
"""What decoding gives for the bytes of a character that is not complete yet."""
HELD_BACK = 8
"""Tokens that an incomplete character can span at most before it is taken for truly broken text."""


class Detokenizer:
    """Turns tokens into text as they come, never cutting through a character."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._start = 0
        """First token that is decoded again: the pieces of a word can depend on the ones before."""
        self._given = 0
        """Tokens whose text has been given."""

    def add(self, token: int) -> str:
        """Take one token and return the text that is complete now."""
        self._ids.append(token)
        text = self._decode(self._ids[self._start :])
        if text.endswith(BROKEN) and len(self._ids) - self._given < HELD_BACK:
            return ""
        return self._give(text)

    def flush(self) -> str:
        """Return what is left, complete or not."""
        return self._give(self._decode(self._ids[self._start :]))

    def _give(self, text: str) -> str:
        before = self._decode(self._ids[self._start : self._given])
        self._start, self._given = self._given, len(self._ids)
        return text[len(before) :]


def first_of(stop: Sequence[str], text: str) -> int | None:
    """Return where the first of the stop texts begins in ``text``, or None."""
    places = [place for place in (text.find(one) for one in stop) if place >= 0]
    return min(places, default=None)


def possible_start(stop: Sequence[str], text: str) -> int:
    """Return the length of the longest end of ``text`` that a stop text could begin with."""
    lengths = (size for one in stop for size in range(1, len(one)) if text.endswith(one[:size]))
    return max(lengths, default=0)
