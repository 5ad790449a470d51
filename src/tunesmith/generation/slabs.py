"""Keys and values of rows, in buffers that rows of about the same length share.

A slab holds rows of up to ``capacity`` tokens: (slots, heads, capacity, size) for each layer. Every row writes from its
column 0 on, so that a token's column is its position. Rows of very different lengths lie in different slabs: no row
pays, in memory or in time, for one that is more than twice as long.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from tunesmith.generation.rows import Row

SMALLEST = 256
"""Capacity of the smallest slab, in tokens; each further one holds twice as many."""


class Slab:
    """Buffers that some rows share. Rows lie in its first slots, without gaps."""

    def __init__(self, capacity: int, slots: int = 1) -> None:
        self.capacity = capacity
        self.rows: list[Row] = []
        self._slots = slots
        self._buffers: dict[int, tuple[Tensor, Tensor]] = {}
        """Keys and values by layer; layers may differ in heads and sizes."""

    def buffers(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the buffers of a layer, made to fit ``keys`` and ``values`` of (..., heads, tokens, size)."""
        found = self._buffers.get(layer)
        if found is None:
            shape = (self._slots, keys.shape[-3], self.capacity)
            found = keys.new_zeros((*shape, keys.shape[-1])), values.new_zeros((*shape, values.shape[-1]))
            self._buffers[layer] = found
        return found

    def take(self, row: Row) -> None:
        """Store a row, with what it has seen, in the next free slot."""
        if len(self.rows) == self._slots:
            self._resize(2 * self._slots)
        old, slot = row.slab, len(self.rows)
        if old is not None:
            self.copy(slot, old, row.slot, row.seen)
            old.drop(row)
        self.rows.append(row)
        row.slab, row.slot = self, slot

    def copy(self, slot: int, source: Slab, its_slot: int, tokens: int) -> None:
        """Fill a slot with the first tokens of another slab's."""
        for layer, pair in source._buffers.items():
            for into, part in zip(self.buffers(layer, *pair), pair, strict=True):
                into[slot, :, :tokens] = part[its_slot, :, :tokens]

    def drop(self, row: Row) -> None:
        """Forget a row; the last one takes its slot.

        Zeros take the place of what was there, because a masked column still counts: nothing times "not a number" is
        no number, and whoever comes next would have it.
        """
        last = self.rows.pop()
        row.slab = None
        if not self.rows:
            self._buffers.clear()
            self._slots = 1
            return
        for buffer in (buffer for pair in self._buffers.values() for buffer in pair):
            buffer[row.slot, :, : row.seen] = 0
            if last is not row:
                buffer[row.slot, :, : last.seen] = buffer[last.slot, :, : last.seen]
                buffer[last.slot, :, : last.seen] = 0
        if last is not row:
            self.rows[row.slot], last.slot = last, row.slot
        if 4 * len(self.rows) <= self._slots:
            self._resize(2 * len(self.rows))

    @property
    def bytes(self) -> int:
        """Memory of its buffers."""
        return sum(part.nbytes for pair in self._buffers.values() for part in pair)

    def _resize(self, slots: int) -> None:
        kept = len(self.rows)
        longest = max((row.seen for row in self.rows), default=0)
        for layer, pair in self._buffers.items():
            larger = tuple(part.new_zeros((slots, *part.shape[1:])) for part in pair)
            for into, part in zip(larger, pair, strict=True):
                into[:kept, :, :longest] = part[:kept, :, :longest]
            self._buffers[layer] = (larger[0], larger[1])
        self._slots = slots


class Slabs:
    """All rows that write, each in the smallest slab that holds it."""

    def __init__(self) -> None:
        self._by_capacity: dict[int, Slab] = {}
        self._reading: list[Slab] = []

    def __iter__(self) -> Iterator[Slab]:
        """Yield the slabs that hold writing rows, smallest first: the order in which tokens are joined."""
        return (slab for _, slab in sorted(self._by_capacity.items()) if slab.rows)

    def open(self, row: Row, tokens: int) -> Slab:
        """Give a row that reads its prompt of ``tokens`` a slab of its own."""
        slab = Slab(_capacity(tokens))
        slab.take(row)
        self._reading.append(slab)
        return slab

    def share(self, row: Row, other: Row, tokens: int) -> None:
        """Give a row a slab of its own that begins with another's first ``tokens``, whose prompt is the same."""
        assert other.slab is not None
        slab = self.open(row, len(row.ask.ids) + 1)
        slab.copy(row.slot, other.slab, other.slot, tokens)
        row.seen = tokens

    def settle(self, row: Row) -> None:
        """Move a row to where its next token has room, beside the others that write."""
        if row.slab is None or row.slab in self._reading or row.seen >= row.slab.capacity:
            capacity = _capacity(row.seen + 1)
            self._by_capacity.setdefault(capacity, Slab(capacity)).take(row)
            self._sweep()

    def drop(self, row: Row) -> None:
        """Forget a row and free what it alone needed."""
        if row.slab is not None:
            row.slab.drop(row)
            self._sweep()

    def clear(self) -> None:
        """Forget all rows, whatever state they were left in."""
        for slab in (*self._reading, *self._by_capacity.values()):
            for row in slab.rows:
                row.slab = None
        self._by_capacity, self._reading = {}, []

    @property
    def bytes(self) -> int:
        """Memory of all buffers."""
        return sum(slab.bytes for slab in (*self._reading, *self._by_capacity.values()))

    def _sweep(self) -> None:
        self._reading = [slab for slab in self._reading if slab.rows]
        self._by_capacity = {size: slab for size, slab in self._by_capacity.items() if slab.rows}


def _capacity(tokens: int) -> int:
    """Return the capacity of the smallest slab that holds so many tokens."""
    capacity = SMALLEST
    while capacity < tokens:
        capacity *= 2
    return capacity
