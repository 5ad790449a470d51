"""An engine that says the last turn again, letter by letter, through the real reading and rendering of answers."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from tunesmith.generation.asking import Token
from tunesmith.spec.errors import ModelGone, PromptTooLong, ServerBusy
from tunesmith.spec.examples import Conversation
from tunesmith.worker.serving.answers import Answers
from tunesmith.worker.serving.requests import Request
from tunesmith.worker.serving.writing import Writing

END = 0
FOR_EVER = "for ever"
BREAKS = "\a"
"""A letter at which the answer breaks off."""


class Letters:
    """One token is one letter."""

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    def bytes_of(self, token: int) -> bytes:
        return chr(token).encode()

    def text_of(self, token: int) -> str:
        return chr(token)


class Said(Iterator[Token]):
    """The tokens of one answer."""

    def __init__(self, text: str, limit: int) -> None:
        self.prompt_tokens = 4
        self.started = threading.Event()
        self.closed = threading.Event()
        letters = itertools.cycle("ever ") if text == FOR_EVER else text
        self._left = itertools.islice(itertools.chain(map(ord, letters), [END]), limit)

    def __next__(self) -> Token:
        if self.closed.is_set():
            raise StopIteration
        self.started.set()
        number = next(self._left)
        if number == ord(BREAKS):
            raise ModelGone()
        return Token(number, -0.5, ((number, -0.5), (ord("z"), -2.0)))

    def close(self) -> None:
        self.closed.set()


class Echo:
    """Says the last turn again; "for ever" goes on until it is stopped."""

    name = "echo"

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.begun = threading.Event()
        """Set once the answers to a request have begun."""
        self.loaded: list[str] = []

    def write(self, request: Request) -> Answers:
        letters = Letters()
        written = []
        for prompt in request.prompts:
            text = prompt.messages[-1].content if isinstance(prompt, Conversation) else letters_of(prompt)
            if text == "too long":
                raise PromptTooLong(9, 8)
            if text == "too many":
                raise ServerBusy(64, 2.4)
            if text == "broken":
                raise RuntimeError("a fault that nobody expected")
            for _ in range(request.n):
                said = Said(text, request.max_tokens or 1_000_000)
                self.said.append(said)
                written.append(Writing(said, letters.decode, stop_ids=frozenset({END}), stop=request.sampling.stop))
        self.begun.set()
        echoes = [letters_of(prompt) if request.echo else "" for prompt in request.prompts]
        return Answers(request, written, echoes, letters, "fp_echo")

    def load(self, adapter: str) -> dict[str, Any]:
        self.loaded.append(adapter)
        return {"adapter": adapter}

    def unload(self, adapter: str) -> bool:
        return adapter in self.loaded

    def health(self) -> dict[str, Any]:
        return {"status": "ok", "model": self.name}


def letters_of(prompt: object) -> str:
    """Return a bare prompt as text."""
    if isinstance(prompt, str):
        return prompt
    assert isinstance(prompt, tuple)
    return "".join(map(chr, prompt))
