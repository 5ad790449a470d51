"""Cuts rows to a length, leaves out those with nothing left to train, and books every token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.ledger import Entry, Ledger
from tunesmith.data.sides import Sides
from tunesmith.data.token_rows import Indices, TokenRows


@dataclass(frozen=True)
class Trimmed:
    """Rows of tokens (sequences), cut; one example has one or several."""

    rows: TokenRows
    lengths: Indices
    """(sequences) Before the cut."""
    trained: Indices
    """(sequences) Trained tokens before the cut."""
    kept: Indices
    """(sequences) Trained tokens after it."""
    first: Indices
    """(examples + 1) Number of each example's first sequence."""

    def sequences_of(self, examples: Indices) -> Indices:
        """Return the sequences of some examples, in the examples' order."""
        counts = self.first[examples + 1] - self.first[examples]
        begins = np.repeat(self.first[examples] - (np.cumsum(counts) - counts), counts)
        return begins + np.arange(int(counts.sum()))

    def of(self, examples: Indices) -> TokenRows:
        """Return the rows of some examples that have something to train."""
        chosen = self.sequences_of(examples)
        return self.rows.take(chosen[self.kept[chosen] > 0])


def trim(rows: TokenRows, sequences: NDArray[np.int32], length: int | None) -> Trimmed:
    """Cut rows to a length (None: not at all); ``sequences`` tells how many rows each example has."""
    trained = rows.trained()
    cut = rows if length is None else rows.truncated(length)
    kept = trained.copy()
    shorter = np.flatnonzero(cut.lengths < rows.lengths)
    kept[shorter] = cut.take(shorter).trained()
    first = np.concatenate([[0], np.cumsum(sequences, dtype=np.int64)])
    return Trimmed(cut, rows.lengths, trained, kept, first)


def ledger_of(trimmed: Trimmed, sides: Sides, examples: NDArray[Any], names: Sequence[str]) -> Ledger:
    """Book every token of the training side, by source."""
    sources = np.asarray(examples["source"])
    left_out = np.concatenate([sides.leaked, sides.dropped_duplicates])
    training = np.union1d(sides.train, left_out)
    return Ledger(
        tuple(
            _entry(names[source], trimmed, sides, np.flatnonzero(sources == source))
            for source in np.unique(sources[training])
        )
    )


def _entry(name: str, trimmed: Trimmed, sides: Sides, own: Indices) -> Entry:
    def tokens(examples: Indices) -> int:
        return int(trimmed.lengths[trimmed.sequences_of(np.intersect1d(examples, own))].sum())

    used = trimmed.sequences_of(np.intersect1d(sides.train, own))
    useful = trimmed.kept[used] > 0
    dropped, used = used[~useful], used[useful]
    kept_lengths, trained = trimmed.rows.lengths[used], trimmed.kept[used]
    again = np.isin(used, trimmed.first, invert=True)
    untrained = kept_lengths - trained
    return Entry(
        name,
        trained=int(trained.sum()),
        context=int(untrained[~again].sum()),
        repeated=int(untrained[again].sum()),
        truncated=int((trimmed.lengths[used] - kept_lengths).sum()),
        dropped=int(trimmed.lengths[dropped].sum()),
        duplicate=tokens(sides.dropped_duplicates),
        leaked=tokens(sides.leaked),
    )
