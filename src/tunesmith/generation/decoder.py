"""Many answers at once from one loaded model: rows join and leave the batch between its steps.

One thread computes. In each step every row that writes gives one token, and the prompts that are being read go on by a
stretch, in the same pass: nobody waits for somebody else's long prompt, and the weights are read once for all.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from tunesmith.generation.adapters import AdapterFacts, Adapters
from tunesmith.generation.asking import Ask, Ticket, Token
from tunesmith.generation.drawing import chooser_of, draw
from tunesmith.generation.families import passes_for
from tunesmith.generation.freeing import give_memory_back
from tunesmith.generation.rows import Part, Row
from tunesmith.spec.errors import (
    DecodingFailed,
    LogitsNotNumbers,
    ModelGone,
    NoMemoryLeft,
    PromptTooLong,
    ServerBusy,
)
from tunesmith.training.device import is_out_of_memory

__all__ = ["AdapterFacts", "Ask", "Decoder", "Stats", "Ticket", "Token"]

STRETCH = 128
"""Tokens of prompts that are read in one step while others write: they wait about three steps longer for it."""
STRETCH_ALONE = 512
"""The same while nobody writes."""
WAIT = 1.0
"""Seconds after which somebody who was turned away may ask again; a row ends about as often."""

T = TypeVar("T")


@dataclass(frozen=True)
class Stats:
    """How much a decoder does."""

    running: int
    waiting: int
    tokens: int
    """Tokens written since the start."""
    cache_bytes: int
    """Memory of keys and values now."""
    adapter_bytes: int


class Errand:
    """Something that is done between two steps, for somebody who waits for what comes of it."""

    def __init__(self, do: Callable[[], Any]) -> None:
        self.done: Future[Any] = Future()
        self._do = do

    def run(self) -> None:
        """Do it; whoever waits gets the result, or what went wrong, whatever it is."""
        try:
            with torch.inference_mode():
                self.done.set_result(self._do())
        except BaseException as error:  # noqa: BLE001  it belongs to whoever waits
            self.done.set_exception(error)


class Decoder:
    """Answers asks with a model, each row with its own adapter. All methods may be called from any thread."""

    def __init__(self, model: Any, *, rows: int = 8, waiting: int = 64, adapter_bytes: int | None = None) -> None:
        """``rows`` answers run at once, ``waiting`` wait; ``adapter_bytes`` bounds the memory of adapters."""
        self.limit = int(getattr(model.config.get_text_config(), "max_position_embeddings", 0) or 0) or None
        """Positions that the model can see, in tokens; None where its configuration does not say."""
        self._passes, self.one_by_one = passes_for(model)
        """Why rows go through this model one after the other; None where they go together."""
        self._adapters = Adapters(model, self._passes, rows, adapter_bytes)
        self._most, self._most_waiting = rows, waiting
        self._waiting: deque[Row] = deque()
        self._running: list[Row] = []
        self._errands: deque[Errand] = deque()
        self._tokens = 0
        self._cache_bytes = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="decoder", daemon=True)
        self._thread.start()

    @property
    def room(self) -> int:
        """Asks that may wait; as many are taken at once while nobody else asks."""
        return self._most_waiting

    def submit(self, ask: Ask) -> Ticket:
        """Queue an ask; iterate over the ticket for its tokens.

        Raises:
            PromptTooLong: the model sees fewer tokens than the prompt has.
            ServerBusy: more asks wait than may wait.
            AdapterNotLoaded: nobody loaded the adapter that the ask names, or it has left since.
        """
        count = len(ask.ids)
        if self.limit is not None and count >= self.limit:
            raise PromptTooLong(count, self.limit)
        ticket = Ticket(count, self._wake)
        room = ask.sampling.max_tokens if self.limit is None else min(ask.sampling.max_tokens, self.limit - count)
        with self._changed:
            if self._closed:
                raise ModelGone()
            if len(self._waiting) >= self._most_waiting:
                raise ServerBusy(len(self._waiting), WAIT)
            row = Row(ask, ticket, room, chooser=chooser_of(ask.sampling))
            row.adapter = self._adapters.borrow(ask.adapter)
            self._waiting.append(row)
            self._changed.notify_all()
        return ticket

    def load_adapter(self, key: str, folder: Path) -> AdapterFacts:
        """Load an adapter under a key and prove that it is live; a key that is loaded already is only used again.

        The least recently used ones leave when ``adapter_bytes`` is short; those that answer now stay.

        Raises:
            AdapterMismatch: a layer of the adapter is not in the model, or has another size there.
            AdapterNotPerRow: it changes more than linear layers (``lora.per_row`` tells before).
            AdapterNotLive: its weights are trained and change no answer.
            NoRoomForAdapter: the adapters that answer now leave no room.
        """
        return self._between_steps(lambda: self._adapters.load(key, folder))

    def unload_adapter(self, key: str) -> bool:
        """Drop an adapter once its last row has ended; later asks are refused at once. Says whether there was one."""
        return self._between_steps(lambda: self._adapters.unload(key))

    def adapters(self) -> list[AdapterFacts]:
        """List the adapters in memory, least recently used first."""
        return self._adapters.facts()

    def stats(self) -> Stats:
        """Count what runs, waits and takes memory."""
        with self._changed:
            counts = len(self._running), len(self._waiting)
        return Stats(*counts, self._tokens, self._cache_bytes, self._adapters.bytes)

    def close(self) -> None:
        """End every answer and the thread that computes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    # --- from here on: the thread that computes -----------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while self._goes_on():
                pass
        finally:  # nobody waits for a thread that is no more, whatever ended it
            self._end()

    def _goes_on(self) -> bool:
        """Do what is next. What goes wrong in it, whatever it is, ends the answers that run, and nothing else."""
        try:
            if not self._next():
                return False
            if self._running:
                self._step()
        except Exception as error:  # noqa: BLE001  models are other people's code, and others wait for their answers
            self._fail(error)
        return True

    def _fail(self, error: Exception) -> None:
        """End all answers that run; nothing that a broken pass left behind is used again."""
        traceback.print_exception(error)
        self._passes.clear()
        for row in list(self._running):
            with suppress(Exception):  # the row is out of the batch and hears of it, even if its adapter cannot go
                self._leave(row, None, NoMemoryLeft() if is_out_of_memory(error) else DecodingFailed(error))

    def _end(self) -> None:
        with self._changed:
            self._closed = True
            rows, errands = [*self._running, *self._waiting], [*self._errands]
            for left in (self._running, self._waiting, self._errands):
                left.clear()
        for row in rows:
            row.ticket.end(None, ModelGone())
        for errand in errands:
            errand.done.set_exception(ModelGone())
        self._passes.clear()
        self._passes.close()

    def _next(self) -> bool:
        """Wait for work, let rows leave and join, and do what was asked between steps. False when all is over."""
        with self._changed:
            while not (self._closed or self._running or self._waiting or self._errands):
                self._changed.wait()
            if self._closed:
                return False
            errands = [self._errands.popleft() for _ in range(len(self._errands))]
        for errand in errands:
            errand.run()
        for row in [row for row in (*self._running, *self._waiting) if row.ticket.closed]:
            self._leave(row, None)
        with self._changed:
            while self._waiting and len(self._running) < self._most:
                self._running.append(self._waiting.popleft())
        return True

    def _step(self) -> None:
        parts = self._parts()
        self._passes.bank.work_with([part.row.adapter for part in parts if part.row.adapter is not None], self._most)
        logits = self._passes.run(parts)
        wanted = [part.row for part in parts if part.wanted]
        for row, token in zip(wanted, draw(logits, wanted), strict=True):
            if token is None:
                self._leave(row, None, LogitsNotNumbers())
            else:
                self._give(row, token)
        self._cache_bytes = self._passes.cache_bytes

    def _parts(self) -> list[Part]:
        """Return what goes through the model next: a token of each row that writes, then stretches of prompts."""
        writing = [Part(row, (row.last,)) for row in self._passes.order([r for r in self._running if not r.reading])]
        reading = [row for row in self._running if row.reading and not self._waits(row)]
        reading.sort(key=lambda row: len(row.ask.ids) - row.seen)
        room = STRETCH if writing else STRETCH_ALONE
        parts = list(writing)
        for place, row in enumerate(reading):  # the shortest first: what it leaves of its share goes to the longer ones
            left = len(row.ask.ids) - row.seen
            count = min(left, max(1, room // (len(reading) - place))) if self._passes.together else left
            parts.append(Part(row, row.ask.ids[row.seen : row.seen + count], wanted=count == left))
            room -= count
        return parts

    def _waits(self, row: Row) -> bool:
        """Whether a row's prompt is being read for an earlier answer to the same request. Once it is read, it is taken
        over, but for its last token, after which this answer begins."""
        if row.seen or not self._passes.together:
            return False
        first = next(one for one in self._running if one.ask.ids is row.ask.ids and one.adapter is row.adapter)
        if first is not row and not first.reading:
            self._passes.share(row, first)
        return first is not row and first.reading

    def _give(self, row: Row, token: Token) -> None:
        row.last = token.id
        if row.ask.penalties is not None:
            row.counts[token.id] += 1
        row.written += 1
        self._tokens += 1
        row.ticket.give(token)
        if token.id in row.ask.stop_ids:
            self._leave(row, "stop")
        elif row.written >= row.limit:
            self._leave(row, "length")

    def _leave(self, row: Row, finish_reason: str | None, error: Exception | None = None) -> None:
        with self._changed:
            for rows in (self._running, self._waiting):
                if row in rows:
                    rows.remove(row)
        try:
            self._passes.drop(row)
            adapter, row.adapter = row.adapter, None
            self._adapters.give_back(adapter)
        finally:
            row.ticket.end(finish_reason, error)
        if not self._running:
            self._cache_bytes = self._passes.cache_bytes
            give_memory_back()

    def _between_steps(self, do: Callable[[], T]) -> T:
        """Have the computing thread do something before its next step, and return what came of it."""
        errand = Errand(do)
        with self._changed:
            if self._closed:
                raise ModelGone()
            self._errands.append(errand)
            self._changed.notify_all()
        done: Future[T] = errand.done
        return done.result()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
