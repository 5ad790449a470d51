"""Batches made ahead: while a GPU computes one, the processor makes the next, so that neither waits for the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import torch

from tunesmith.data.token_rows import Indices
from tunesmith.training.pieces import Batch, Rows

BESIDE: Final = frozenset({"cuda"})
"""Devices beside which the processor has nothing else to do; on its own cores making and computing would compete."""
Asked = tuple[tuple[int, ...], int]
"""Rows and epoch."""


class Ahead:
    """Rows of which the next batch is made in a thread; a batch is the same, whoever makes it and when."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._due: deque[Asked] = deque()
        self._made: tuple[Asked, Future[Batch]] | None = None

    @property
    def lengths(self) -> Indices:
        """(rows,) tokens of each row."""
        return self._rows.lengths

    def labels(self, rows: Sequence[int], epoch: int) -> int:
        """Count what the loss of these rows is divided by."""
        return self._rows.labels(rows, epoch)

    def expect(self, parts: Iterable[Sequence[int]], epoch: int) -> None:
        """Say which batches are asked for next, in their order; what was said before no longer counts."""
        self._due = deque((tuple(part), epoch) for part in parts)
        if self._made is None or not self._due or self._made[0] != self._due[0]:
            self._make()
        else:
            self._due.popleft()

    def batch(self, rows: Sequence[int], epoch: int) -> Batch:
        """Return the batch of these rows, and begin with the one after it; one that was not expected is made here."""
        asked, made = (tuple(rows), epoch), self._made
        if made is None or made[0] != asked:
            return self._rows.batch(rows, epoch)
        self._make()
        return made[1].result()

    def _make(self) -> None:
        asked = self._due.popleft() if self._due else None
        self._made = None if asked is None else (asked, self._maker.submit(self._rows.batch, *asked))


def ahead(rows: Rows, device: torch.device) -> Rows:
    """Return rows whose batches are made ahead where that helps."""
    return Ahead(rows) if device.type in BESIDE else rows
