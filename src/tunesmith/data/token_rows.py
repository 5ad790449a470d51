"""Tokenised rows: one small type for a row, and flat arrays for a million of them, which may lie in mapped files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
Mask = NDArray[np.uint8]
Indices = NDArray[np.int64]

_ROWS_AT_ONCE: Final = 65_536
"""Rows counted together, so that counting needs little memory."""


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

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def tokens(self) -> int:
        """Tokens of all rows together."""
        return int(self.lengths.sum())

    def row(self, index: int) -> tuple[Ids, Mask]:
        """Return one row's tokens and mask."""
        start = self.starts[index]
        end = start + self.lengths[index]
        return self.ids[start:end], self.mask[start:end]

    def truncated(self, max_length: int) -> TokenRows:
        """Cut the ends of rows that are longer."""
        return TokenRows(self.ids, self.mask, self.starts, np.minimum(self.lengths, max_length))

    def take(self, indices: Indices) -> TokenRows:
        """Choose rows, in the order given."""
        return TokenRows(self.ids, self.mask, self.starts[indices], self.lengths[indices])

    def trained(self) -> Indices:
        """Count each row's trained tokens."""
        counts = np.zeros(len(self), dtype=np.int64)
        order = np.argsort(self.starts, kind="stable")
        for begin in range(0, len(self), _ROWS_AT_ONCE):
            part = order[begin : begin + _ROWS_AT_ONCE]
            counts[part] = _sums(self.mask, self.starts[part], self.lengths[part])
        return counts

    def save(self, folder: Path) -> None:
        """Write ``ids.npy``, ``mask.npy`` and ``offsets.npy`` (rows + 1), holding these rows alone, end to end."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = [self.row(index) for index in range(len(self))]
        np.save(folder / "ids.npy", np.concatenate([ids for ids, _ in rows] or [np.zeros(0, np.int32)]))
        np.save(folder / "mask.npy", np.concatenate([mask for _, mask in rows] or [np.zeros(0, np.uint8)]))
        np.save(folder / "offsets.npy", np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64))

    @classmethod
    def load(cls, folder: Path) -> TokenRows:
        """Map what ``save`` or the token cache wrote; tokens are read from disk when they are looked at."""
        mapped = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("ids", "mask", "offsets"))
        return cls.packed(*(np.asarray(array) for array in mapped))

    @classmethod
    def packed(cls, ids: Ids, mask: Mask, offsets: Indices) -> TokenRows:
        """Make rows of arrays in which row ``i`` is ``offsets[i]:offsets[i + 1]``."""
        return cls(ids, mask, offsets[:-1], np.diff(offsets))

    @classmethod
    def of(cls, rows: Iterable[EncodedRow]) -> TokenRows:
        """Collect encoded rows in memory."""
        listed = list(rows)
        offsets = np.cumsum([0, *(len(row.ids) for row in listed)], dtype=np.int64)
        ids = np.fromiter((token for row in listed for token in row.ids), np.int32)
        mask = np.fromiter((trained for row in listed for trained in row.mask), np.uint8)
        return cls.packed(ids, mask, offsets)


def _sums(mask: Mask, starts: Indices, lengths: Indices) -> Indices:
    """Sum the mask over each row: differences of one running sum over the stretch in which the rows lie."""
    low, high = int(starts.min()), int((starts + lengths).max())
    running = np.zeros(high - low + 1, dtype=np.int64)
    np.cumsum(mask[low:high], out=running[1:])
    sums: Indices = running[starts + lengths - low] - running[starts - low]
    return sums
