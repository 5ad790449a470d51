"""Tokenised rows: one small type for a row, and flat arrays for a million of them, which may lie in mapped files."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.media.payload import Payload, unpack

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
    media: bytes = b""
    """What was decoded of the row's pictures or recordings (``data.media.payload``); empty where it has none."""


@dataclass(frozen=True)
class MediaRows:
    """What rows carry beside their tokens, inside one flat array."""

    content: NDArray[np.uint8]
    starts: Indices
    """(rows)"""
    sizes: Indices
    """(rows) Bytes."""

    def __getitem__(self, row: int) -> Payload:
        start = int(self.starts[row])
        return unpack(self.content[start : start + int(self.sizes[row])])

    def take(self, rows: Indices) -> MediaRows:
        """Choose rows, in the order given."""
        return MediaRows(self.content, self.starts[rows], self.sizes[rows])

    @classmethod
    def packed(cls, content: NDArray[np.uint8], offsets: Indices) -> MediaRows:
        """Make rows of which row ``i`` has ``offsets[i]:offsets[i + 1]``."""
        return cls(content, offsets[:-1], np.diff(offsets))


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
    media: MediaRows | None = None
    """What each row carries beside its tokens; None where no row carries anything."""

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
        media = None if self.media is None else self.media.take(indices)
        return TokenRows(self.ids, self.mask, self.starts[indices], self.lengths[indices], labels, media)

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
        """Map ``ids.npy``, ``mask.npy``, ``offsets.npy`` (rows + 1) and the two of media of a folder.

        Tokens are read from disk when they are looked at.
        """
        ids, mask, offsets, content, places = (
            np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r"))
            for name in ("ids", "mask", "offsets", "media", "media_offsets")
        )
        media = MediaRows.packed(content, places) if len(content) else None
        return replace(cls.packed(ids, mask, offsets), media=media)

    @classmethod
    def packed(cls, ids: Ids, mask: Mask, offsets: Indices) -> TokenRows:
        """Make rows of arrays in which row ``i`` is ``offsets[i]:offsets[i + 1]``."""
        return cls(ids, mask, offsets[:-1], np.diff(offsets))

    @classmethod
    def of(cls, rows: Iterable[EncodedRow]) -> TokenRows:
        """Collect encoded rows in memory."""
        ids, mask, ends = array("i"), bytearray(), array("q", [0])
        content, places = bytearray(), array("q", [0])
        for row in rows:
            ids.extend(row.ids)
            mask.extend(row.mask)
            ends.append(len(ids))
            content.extend(row.media)
            places.append(len(content))
        flat = np.frombuffer(ids, np.intc), np.frombuffer(mask, np.uint8), np.frombuffer(ends, np.int64)
        media = MediaRows.packed(np.frombuffer(content, np.uint8), np.frombuffer(places, np.int64))
        return replace(cls.packed(*flat), media=media if len(content) else None)


def _sums(mask: Mask, starts: Indices, lengths: Indices) -> Indices:
    """Sum the mask over each row but its first token: differences of one running sum over where the rows lie."""
    low, high = int(starts.min()), int((starts + lengths).max())
    running = np.zeros(high - low + 1, dtype=np.int64)
    np.cumsum(mask[low:high], out=running[1:])
    second = starts + np.minimum(lengths, 1)
    sums: Indices = running[starts + lengths - low] - running[second - low]
    return sums
