"""The adapters in memory: each proved to be live, the least recently used leaving when memory is short."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tunesmith.generation.asking import Ask, Ticket
from tunesmith.generation.attention import CannotJoin
from tunesmith.generation.bank import Adapter, read_adapter
from tunesmith.generation.passes import Passes
from tunesmith.generation.rows import Part, Row
from tunesmith.spec.errors import AdapterNotLive, AdapterNotLoaded, AdapterNotPerRow, NoRoomForAdapter
from tunesmith.spec.sampling import Sampling

PROBE = 16
"""Tokens of the prompt after which an adapter has to say something else than the model itself."""


@dataclass(frozen=True)
class AdapterFacts:
    """An adapter in memory."""

    key: str
    bytes: int
    rank: int
    trained: bool
    """Whether its weights change anything: B of at least one layer is not all zero."""
    difference: float
    """Largest difference of its logits from the model's own after a probe prompt."""
    used_at: float
    """When it was last asked, in seconds since 1970."""


class Adapters:
    """Adapters by key. What reads and counts may be called by any thread, what loads and drops by the computing one."""

    def __init__(self, model: Any, passes: Passes, rows: int, most: int | None) -> None:
        self._passes, self._rows, self._most = passes, rows, most
        self._by_key: dict[str, Adapter] = {}
        self._leaving: set[Adapter] = set()
        self._lock = threading.Lock()
        size = model.get_input_embeddings().weight.shape[0]
        self._probe: Sequence[int] = [(11 + 257 * place) % size for place in range(PROBE)]
        self._own: Tensor | None = None
        """The model's own logits after the probe."""

    def borrow(self, key: str | None) -> Adapter | None:
        """Return the adapter of a key, which stays until it is given back.

        Raises:
            AdapterNotLoaded: there is none of this key.
        """
        if key is None:
            return None
        with self._lock:
            adapter = self._by_key.get(key)
            if adapter is None:
                raise AdapterNotLoaded(key)
            adapter.users += 1
            adapter.used_at = time.time()
            return adapter

    def give_back(self, adapter: Adapter | None) -> None:
        """Say that an answer with an adapter has ended."""
        if adapter is None:
            return
        with self._lock:
            adapter.users -= 1
            over = adapter in self._leaving and not adapter.users
            if over:
                self._leaving.discard(adapter)
        if over:
            self._passes.bank.drop(adapter)

    def load(self, key: str, folder: Path) -> AdapterFacts:
        """Load an adapter, unless it is there, and prove that it is live."""
        with self._lock:
            there = self._by_key.get(key)
            if there is not None:
                there.used_at = time.time()
                return _facts(there)
        adapter = read_adapter(key, folder, self._passes.bank)
        self._make_room(adapter)
        try:
            adapter.difference = self._difference(adapter)
            if adapter.trained and adapter.difference == 0:
                raise AdapterNotLive(folder)
        except BaseException as error:
            self._passes.bank.drop(adapter)
            if isinstance(error, CannotJoin):
                raise AdapterNotPerRow(folder, str(error)) from error
            raise
        with self._lock:
            self._by_key[key] = adapter
        return _facts(adapter)

    def unload(self, key: str) -> bool:
        """Drop an adapter, now or when its last answer ends."""
        with self._lock:
            adapter = self._by_key.pop(key, None)
            if adapter is None:
                return False
            if adapter.users:
                self._leaving.add(adapter)
                return True
        self._passes.bank.drop(adapter)
        return True

    def facts(self) -> list[AdapterFacts]:
        """List the adapters, least recently used first."""
        with self._lock:
            return [_facts(adapter) for adapter in sorted(self._by_key.values(), key=lambda one: one.used_at)]

    @property
    def bytes(self) -> int:
        """Memory of all adapters, those included that leave with their last answer."""
        with self._lock:
            return sum(adapter.bytes for adapter in (*self._by_key.values(), *self._leaving))

    def _make_room(self, adapter: Adapter) -> None:
        if self._most is None:
            return
        for fact in self.facts():
            if self.bytes + adapter.bytes <= self._most:
                return
            with self._lock:
                busy = self._by_key[fact.key].users > 0
            if not busy:
                self.unload(fact.key)
        if self.bytes + adapter.bytes > self._most:
            raise NoRoomForAdapter(adapter.key, adapter.bytes, self._most)

    def _difference(self, adapter: Adapter) -> float:
        """Return how far an adapter moves the logits after the probe.

        Both are computed in passes of the same shape, so that an adapter that changes nothing gives exactly nothing.
        """
        if self._own is None:
            self._own = self._ask(None)
        return float((self._ask(adapter) - self._own).abs().max())

    def _ask(self, adapter: Adapter | None) -> Tensor:
        ask = Ask(self._probe, Sampling(max_tokens=1))
        row = Row(ask, Ticket(len(self._probe), lambda: None), 1, adapter=adapter)
        if adapter is not None:
            self._passes.bank.work_with([adapter], self._rows)
        try:
            return self._passes.run([Part(row, ask.ids)])
        finally:
            self._passes.drop(row)


def _facts(adapter: Adapter) -> AdapterFacts:
    return AdapterFacts(adapter.key, adapter.bytes, adapter.rank, adapter.trained, adapter.difference, adapter.used_at)
