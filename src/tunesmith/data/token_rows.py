"""Tokenised rows: one small type for a row, and flat arrays for a million of them, which may lie in mapped files."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
Mask = NDArray[np.uint8]
Indices = NDArray[np.int64]

_TOKENS_AT_ONCE: Final = 1 << 22
"""Tokens counted together, so that counting needs little memory."""


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """One sequence of tokens and which of them are targets."""

    ids: list[int]
    mask: list[bool]
    """Whether ``ids[i]`` is predicted from ``ids[:i]``; the first never is."""


@dataclass(frozen=True)
class TokenRows:
    """Rows inside flat arrays; cutting and choosing rows make views, never copies."""

    ids: Ids
    """Tokens of all rows."""
    mask: Mask
    """1 where the token of the same place is trained."""
    starts: Indices
    """(rows) Place of each row's first token."""
    lengths: Indices
    """(rows) Tokens of each row."""
    labels: Indices | None = None
    """(rows) Class of each row, a place in ``PreparedData.labels``; None where rows are not classified."""

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def tokens(self) -> int:
        """Tokens of all rows together."""
        return int(self.lengths.sum())

    def row(self, index: int) -> tuple[Ids, Mask]:
        """Return one row's tokens and mask; its first token is never trained, for nothing predicts it."""
        start = self.starts[index]
        end = start + self.lengths[index]
        mask = self.mask[start:end]
        if len(mask) and mask[0]:
            mask = mask.copy()
            mask[0] = 0
        return self.ids[start:end], mask

    def truncated(self, max_length: int) -> TokenRows:
        """Cut the ends of rows that are longer."""
        return replace(self, lengths=np.minimum(self.lengths, max_length))

    def take(self, indices: Indices) -> TokenRows:
        """Choose rows, in the order given."""
        labels = None if self.labels is None else self.labels[indices]
        return TokenRows(self.ids, self.mask, self.starts[indices], self.lengths[indices], labels)

    def trained(self) -> Indices:
        """Count each row's trained tokens."""
        counts = np.zeros(len(self), dtype=np.int64)
        order = np.argsort(self.starts, kind="stable")
        sorted_starts, begin = self.starts[order], 0
        while begin < len(order):
            end = int(np.searchsorted(sorted_starts, sorted_starts[begin] + _TOKENS_AT_ONCE, side="right"))
            part = order[begin:end]
            counts[part] = _sums(self.mask, self.starts[part], self.lengths[part])
            begin = end
        return counts

    @classmethod
    def load(cls, folder: Path) -> TokenRows:
        """Map ``ids.npy``, ``mask.npy`` and ``offsets.npy`` (rows + 1) of a folder.

        Tokens are read from disk when they are looked at.
        """
        mapped = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("ids", "mask", "offsets"))
        return cls.packed(*(np.asarray(array) for array in mapped))

    @classmethod
    def packed(cls, ids: Ids, mask: Mask, offsets: Indices) -> TokenRows:
        """Make rows of arrays in which row ``i`` is ``offsets[i]:offsets[i + 1]``."""
        return cls(ids, mask, offsets[:-1], np.diff(offsets))

    @classmethod
    def of(cls, rows: Iterable[EncodedRow]) -> TokenRows:
        """Collect encoded rows in memory."""
        ids, mask, ends = array("i"), bytearray(), array("q", [0])
        for row in rows:
            ids.extend(row.ids)
            mask.extend(row.mask)
            ends.append(len(ids))
        return cls.packed(np.frombuffer(ids, np.intc), np.frombuffer(mask, np.uint8), np.frombuffer(ends, np.int64))


def _sums(mask: Mask, starts: Indices, lengths: Indices) -> Indices:
    """Sum the mask over each row but its first token: differences of one running sum over where the rows lie."""
    low, high = int(starts.min()), int((starts + lengths).max())
    running = np.zeros(high - low + 1, dtype=np.int64)
    np.cumsum(mask[low:high], out=running[1:])
    second = starts + np.minimum(lengths, 1)
    sums: Indices = running[starts + lengths - low] - running[second - low]
    return sums
