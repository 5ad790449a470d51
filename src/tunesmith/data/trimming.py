"""Cuts rows to a length, leaves out those with nothing left to train, and books every token.

Running text is not cut off: it is cut in pieces of the length, each a row of its own, without overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.kinds import LABEL, PREFERENCE, TEXT
from tunesmith.data.ledger import CLASSES, Entry, Ledger
from tunesmith.data.sides import Sides
from tunesmith.data.token_rows import Indices, TokenRows
from tunesmith.spec.errors import TooMuchLost

MAX_LOST: Final = 0.05
"""Share of the trained tokens that a length which nobody typed may cost."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Trimmed:
    """Rows of tokens, cut; one example has one or several."""

    rows: TokenRows
    lengths: Indices
    """(rows) Before the cut."""
    trained: Indices
    """(rows) Trained tokens before the cut."""
    kept: Indices
    """(rows) Trained tokens after it."""
    useful: Flags
    """(rows) Whether anything is left to train; a better and a worse answer are useful together, or not at all."""
    again: Flags
    """(rows) Whether its context stood in an earlier row of its example."""
    first: Indices
    """(examples + 1) Number of each example's first row."""

    def rows_of(self, examples: Indices) -> Indices:
        """Return the numbers of the rows of some examples, in the examples' order."""
        counts = self.first[examples + 1] - self.first[examples]
        begins = np.repeat(self.first[examples] - (np.cumsum(counts) - counts), counts)
        return begins + np.arange(int(counts.sum()))

    def of(self, examples: Indices) -> TokenRows:
        """Return the rows of some examples that have something to train."""
        chosen = self.rows_of(examples)
        return self.rows.take(chosen[self.useful[chosen]])

    def counts(self) -> Trimmed:
        """Return the same without the tokens, so that little memory is held."""
        return replace(self, rows=_tokenless(self.rows.lengths))

    @classmethod
    def joined(cls, parts: Sequence[Trimmed]) -> Trimmed:
        """Put the counts of several together; there is at least one."""

        def flat(name: str) -> NDArray[Any]:
            return np.concatenate([getattr(part, name) for part in parts])

        cut = np.concatenate([part.rows.lengths for part in parts])
        first = np.cumsum(np.concatenate([np.zeros(1, np.int64), *(np.diff(part.first) for part in parts)]))
        names = ("lengths", "trained", "kept", "useful", "again")
        return cls(_tokenless(cut), **{name: flat(name) for name in names}, first=first)


def _tokenless(lengths: Indices) -> TokenRows:
    """Stand for rows of these lengths."""
    return TokenRows(np.zeros(0, np.int32), np.zeros(0, np.uint8), np.broadcast_to(np.int64(0), len(lengths)), lengths)


def trim(rows: TokenRows, examples: NDArray[Any], length: int | None) -> Trimmed:
    """Cut the rows of some examples (records of ``token_cache.EXAMPLE``) to a length; None: not at all."""
    counts, kinds = np.asarray(examples["sequences"], np.int64), np.asarray(examples["kind"])
    owners = np.repeat(np.arange(len(counts)), counts)
    begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    again = np.arange(len(rows)) > begins[owners]
    if length is not None and (running := kinds[owners] == TEXT).any():
        rows, origin = in_pieces(rows, running, length)
        owners, again = owners[origin], again[origin]
    cut = rows if length is None else rows.truncated(length)
    trained = rows.trained()
    kept = trained.copy()
    shorter = np.flatnonzero(cut.lengths < rows.lengths)
    kept[shorter] = cut.take(shorter).trained()
    first = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(owners, minlength=len(counts)))])
    useful = _both(kept > 0, first[:-1][(kinds == PREFERENCE) & (counts > 0)])
    return Trimmed(cut, rows.lengths, trained, kept, useful, again, first)


def in_pieces(rows: TokenRows, running: Flags, length: int) -> tuple[TokenRows, Indices]:
    """Cut the ``running`` rows in pieces of at most ``length`` tokens; also return the row that each piece is of.

    A last piece of a single token would have nothing to train, so it gets one more from the piece before it.
    """
    pieces = np.where(running, -(-rows.lengths // length), 1).clip(min=1)
    origin = np.repeat(np.arange(len(rows)), pieces)
    place = np.arange(len(origin)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    last = place == pieces[origin] - 1
    begins = place * length
    ends = np.where(last, rows.lengths[origin], begins + length)
    lonely = np.flatnonzero(last & (place > 0) & (ends - begins == 1) & (length > 2))
    begins[lonely] -= 1
    ends[lonely - 1] -= 1
    labels = None if rows.labels is None else rows.labels[origin]
    media = None if rows.media is None else rows.media.take(origin)
    return TokenRows(rows.ids, rows.mask, rows.starts[origin] + begins, ends - begins, labels, media), origin


def _both(useful: Flags, pairs: Indices) -> Flags:
    """Leave both rows of a pair out where one of them has nothing left; ``pairs`` are the first rows."""
    both = useful[pairs] & useful[pairs + 1]
    useful[pairs], useful[pairs + 1] = both, both
    return useful


def lost_tokens(trimmed: Trimmed, train: Indices, examples: NDArray[Any], length: int, *, chosen: bool) -> list[str]:
    """Return a warning where a typed length costs much of what the training examples teach.

    Of a text with a class, any part teaches the class, and running text loses nothing.

    Raises:
        TooMuchLost: it costs much, and it was ``chosen``: nobody typed it.
    """
    rows = trimmed.rows_of(train[np.asarray(examples["kind"])[train] != LABEL])
    trained = int(trimmed.trained[rows].sum())
    lost = 1 - int(trimmed.kept[rows][trimmed.useful[rows]].sum()) / max(trained, 1)
    if not trained or lost <= MAX_LOST:
        return []
    needed = int(trimmed.lengths[rows].max())
    if chosen:
        raise TooMuchLost(lost, MAX_LOST, length, needed)
    return [f"A length of {length} tokens cuts {lost:.1%} of the trained tokens off; {needed} would keep them all."]


def ledger_of(trimmed: Trimmed, sides: Sides, examples: NDArray[Any], names: Sequence[str]) -> Ledger:
    """Book every token of the training side, by source."""
    books = {name: np.zeros(len(names), np.int64) for name in CLASSES}
    sources = np.repeat(np.asarray(examples["source"]), np.diff(trimmed.first))

    def book(name: str, rows: Indices, tokens: Indices) -> None:
        np.add.at(books[name], sources[rows], tokens)

    rows = trimmed.rows_of(sides.train)
    dropped, used = rows[~trimmed.useful[rows]], rows[trimmed.useful[rows]]
    cut, kept = trimmed.rows.lengths[used], trimmed.kept[used]
    again = trimmed.again[used]
    book("trained", used, kept)
    book("context", used[~again], (cut - kept)[~again])
    book("repeated", used[again], (cut - kept)[again])
    book("truncated", used, trimmed.lengths[used] - cut)
    for name, left_out in (
        ("dropped", dropped),
        ("duplicate", trimmed.rows_of(sides.dropped_duplicates)),
        ("leaked", trimmed.rows_of(sides.leaked)),
    ):
        book(name, left_out, trimmed.lengths[left_out])
    training = np.concatenate([sides.train, sides.leaked, sides.dropped_duplicates])
    return Ledger(
        tuple(
            Entry(names[source], **{name: int(book[source]) for name, book in books.items()})
            for source in np.unique(np.asarray(examples["source"])[training])
        )
    )
