"""The text of an answer, piece by piece, from the tokens that a decoder writes, up to a stop text."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tunesmith.generation.asking import Token
from tunesmith.generation.text import Detokenizer, first_of, possible_start


class Source(Protocol):
    """Where tokens come from: a ticket of a decoder."""

    prompt_tokens: int

    def __iter__(self) -> Iterator[Token]:
        """Give the tokens as they come."""
        ...

    def close(self) -> None:
        """End the answer here."""
        ...


@dataclass(frozen=True)
class Piece:
    """A piece of an answer."""

    text: str
    tokens: tuple[Token, ...]
    """Those whose text begins in this piece; none for one that is special, such as the end of a turn."""


class Writing(Iterator[Piece]):
    """One answer as it comes. Closing it, from any thread, ends the computation."""

    def __init__(
        self,
        source: Source,
        decode: Callable[[Sequence[int]], str],
        *,
        stop_ids: frozenset[int],
        stop: Sequence[str] = (),
    ) -> None:
        self.prompt_tokens = source.prompt_tokens
        self.tokens = 0
        """Tokens so far, the one that ended the answer included."""
        self.finish_reason: str | None = None
        """stop or length, once the answer is complete."""
        self._source = source
        self._pieces = self._read(Detokenizer(decode), stop_ids, stop)

    def __next__(self) -> Piece:
        """Wait for the next piece.

        Raises:
            TunesmithError: what went wrong in the middle of the answer.
        """
        return next(self._pieces)

    def close(self) -> None:
        """End the answer here."""
        self._source.close()

    def _read(self, text: Detokenizer, stop_ids: frozenset[int], stop: Sequence[str]) -> Generator[Piece, None, None]:
        held = _Held()
        for token in self._source:
            self.tokens += 1
            ended = token.id in stop_ids
            if ended:
                held.add(None, text.flush())
            else:
                held.add(token, text.add(token.id))
            place = first_of(stop, held.text)
            if place is not None or ended:
                self.finish_reason = "stop"
                self.close()
                yield from held.take(len(held.text) if place is None else place, last=True)
                return
            yield from held.take(len(held.text) - possible_start(stop, held.text))
        held.add(None, text.flush())
        place = first_of(stop, held.text)
        self.finish_reason = "length" if place is None else "stop"
        yield from held.take(len(held.text) if place is None else place, last=True)


@dataclass
class _Held:
    """Text that is not given yet, as a stop text could begin in it, and the tokens that it came from."""

    text: str = ""
    _tokens: deque[tuple[int, Token]] = field(default_factory=deque)
    """Each with the place in the text at which its own begins."""

    def add(self, token: Token | None, text: str) -> None:
        if token is not None:
            self._tokens.append((len(self.text), token))
        self.text += text

    def take(self, count: int, *, last: bool = False) -> Iterator[Piece]:
        """Give so many characters, if any; at the end also the tokens of which no text came."""
        tokens = []
        while self._tokens and (self._tokens[0][0] < count or (last and self._tokens[0][0] == count == len(self.text))):
            tokens.append(self._tokens.popleft()[1])
        taken, self.text = self.text[:count], self.text[count:]
        self._tokens = deque((place - count, token) for place, token in self._tokens)
        if taken or tokens:
            yield Piece(taken, tuple(tokens))
