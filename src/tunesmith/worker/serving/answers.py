"""The answers to one request: several may be written at once, and each comes piece by piece."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Protocol, Self

from tunesmith.worker.serving.requests import Request
from tunesmith.worker.serving.shapes import Choice, Spells, usage_of
from tunesmith.worker.serving.writing import Piece


class Written(Protocol):
    """One answer as it comes."""

    prompt_tokens: int
    tokens: int
    finish_reason: str | None

    def __next__(self) -> Piece:
        """Wait for the next piece."""
        ...

    def __iter__(self) -> Iterator[Piece]:
        """Give the pieces as they come."""
        ...

    def close(self) -> None:
        """End the answer here."""
        ...


class Silence(Iterator[Piece]):
    """The answer to who asks for no token at all."""

    tokens = 0
    finish_reason: str | None = "length"

    def __init__(self, prompt_tokens: int) -> None:
        self.prompt_tokens = prompt_tokens

    def __next__(self) -> Piece:
        raise StopIteration

    def close(self) -> None:
        """Do nothing: nothing is computed."""


class Answers:
    """What is written for one request. A ``with`` block closes what is not complete at its end."""

    def __init__(
        self, request: Request, written: Sequence[Written], echoes: Sequence[str], spelling: Spells, fingerprint: str
    ) -> None:
        """``written`` are the answers to the first prompt, then those to the second, and so on."""
        self.choices = [Choice(place, echoes[place // request.n]) for place in range(len(written))]
        self.spelling = spelling
        self.fingerprint = fingerprint
        """Names the model and what it runs on."""
        self._every = request.n
        self._written = written

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[tuple[Choice, Piece | None]]:
        """Give the pieces of all choices as they come; None for one that is complete, whose reason is known then.

        Raises:
            TunesmithError: what went wrong in the middle of an answer.
        """
        for place, piece in self._pieces():
            if piece is None:
                self.choices[place].finish_reason = self._written[place].finish_reason
            yield self.choices[place], piece

    def close(self) -> None:
        """End what is not complete; harmless from any thread, as often as one likes."""
        for written in self._written:
            written.close()

    def usage(self) -> dict[str, int]:
        """Count tokens: each prompt once, and everything that was written."""
        asked = sum(written.prompt_tokens for written in self._written[:: self._every])
        return usage_of(asked, sum(written.tokens for written in self._written))

    def _pieces(self) -> Iterator[tuple[int, Piece | None]]:
        if len(self._written) == 1:
            for piece in self._written[0]:
                yield 0, piece
            yield 0, None
            return
        yield from self._together()

    def _together(self) -> Iterator[tuple[int, Piece | None]]:
        """Give the pieces of several answers in the order in which they come."""
        arrived: queue.SimpleQueue[tuple[int, Piece | BaseException | None]] = queue.SimpleQueue()

        def read(place: int, written: Written) -> None:
            try:
                for piece in written:
                    arrived.put((place, piece))
                arrived.put((place, None))
            except BaseException as error:  # noqa: BLE001  it belongs to whoever reads the answers
                arrived.put((place, error))

        for place, written in enumerate(self._written):
            threading.Thread(target=read, args=(place, written), daemon=True).start()
        left = len(self._written)
        while left:
            place, got = arrived.get()
            if isinstance(got, BaseException):
                raise got
            left -= got is None
            yield place, got
