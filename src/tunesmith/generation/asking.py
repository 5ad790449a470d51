"""What is asked of a decoder, and what it hands back: plain values and a queue, no torch."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tunesmith.spec.sampling import Sampling


@dataclass(frozen=True)
class Penalties:
    """What a token's logit loses because the answer has it already, as OpenAI defines it; below 0 it gains."""

    frequency: float = 0.0
    """For each time that it was written."""
    presence: float = 0.0
    """Once, however often it was written."""


@dataclass(frozen=True)
class Ask:
    """One answer that somebody wants."""

    ids: Sequence[int]
    """The prompt's tokens. Asks of the very same list, with the same adapter, compute it once."""
    sampling: Sampling
    """``max_tokens`` bounds the answer; ``stop`` is not read here: texts are the business of whoever makes them."""
    stop_ids: frozenset[int] = frozenset()
    """Tokens that end the answer; the one that did is the last that is given."""
    adapter: str | None = None
    """Key of a loaded adapter; None asks the model as it is."""
    logprobs: int | None = None
    """How many likely tokens to name at each place, beside the probability of the one chosen; None names none."""
    penalties: Penalties | None = None
    """What repeating costs; None: nothing."""


@dataclass(frozen=True)
class Token:
    """One token of an answer."""

    id: int
    logprob: float | None = None
    """Natural logarithm of its probability under the model, before penalties, temperature and cuts."""
    top: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens at this place with the same logarithms, likeliest first."""


class Ticket(Iterator[Token]):
    """One answer as it comes. It may be closed by any thread, which also ends whoever waits for its next token."""

    def __init__(self, prompt_tokens: int, left: Callable[[], None]) -> None:
        """``left`` is called once, when the ticket is closed before its answer is complete."""
        self.prompt_tokens = prompt_tokens
        self.finish_reason: str | None = None
        """stop (a token of ``stop_ids``) or length, once the answer is complete."""
        self.closed = False
        self._left = left
        self._arrived: queue.SimpleQueue[Token | BaseException | None] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def __next__(self) -> Token:
        """Wait for the next token.

        Raises:
            TunesmithError: what went wrong in the middle of the answer.
        """
        got = self._arrived.get()
        if isinstance(got, Token):
            return got
        self._arrived.put(got)  # whoever asks again hears it again
        if got is None:
            raise StopIteration
        raise got

    def close(self) -> None:
        """Leave the batch before its next step; harmless when the answer is complete."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
        self._arrived.put(None)
        if self.finish_reason is None:
            self._left()

    def give(self, token: Token) -> None:
        """Hand over a token; the decoder's side."""
        self._arrived.put(token)

    def end(self, finish_reason: str | None, error: BaseException | None = None) -> None:
        """Say that no token follows, and why; the decoder's side."""
        self.finish_reason = finish_reason
        self._arrived.put(error)
