"""A chat with a model that sees pictures: what is asked about which picture, and the answer as completions have it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tunesmith.spec.errors import BadValue, NotServed
from tunesmith.spec.examples import PICTURE_MARK, Conversation, Message
from tunesmith.worker.serving.answers import Answers, Written
from tunesmith.worker.serving.requests import Request, seeds
from tunesmith.worker.serving.writing import Piece

SAID: Final = "messages of system, user and assistant, the user's last"
UNMARKED: Final = "texts without U+FFFC, the character that stands for a picture"
LONGEST: Final = 512
"""Tokens of an answer where the request does not say."""
Stopped = Callable[[], bool]
"""Asked whether nobody waits for an answer any more."""


@dataclass(frozen=True)
class Question:
    """What is said up to an answer, and what is shown."""

    messages: tuple[Message, ...]
    """With a mark where each picture stands."""
    pictures: tuple[bytes, ...]
    options: dict[str, Any]


def asked_about(request: Request) -> Question:
    """Return what a chat asks.

    Raises:
        BadValue: it is no chat, or one that no answer can follow.
        NotServed: it asks for something that only models of text do.
    """
    if request.logprobs is not None:
        raise NotServed("logprobs", (False,))
    if request.penalties is not None:
        raise NotServed("frequency_penalty", (0,))
    if request.tools:
        raise NotServed("tools", ([],))
    prompt = request.prompts[0]
    if not isinstance(prompt, Conversation):
        raise BadValue("messages", None, "a chat: models that see pictures go on with no texts")
    turns = prompt.messages
    if any(turn.role == "tool" or turn.tool_calls for turn in turns) or turns[-1].role != "user":
        raise BadValue("messages", f"{len(turns)} messages", SAID)
    if sum(turn.content.count(PICTURE_MARK) for turn in turns) != len(request.pictures):
        raise BadValue("messages", "a text with U+FFFC", UNMARKED)
    drawn = request.sampling
    options: dict[str, Any] = {
        "max_tokens": request.max_tokens or LONGEST, "temperature": drawn.temperature, "top_p": drawn.top_p,
        "top_k": drawn.top_k,
    }  # fmt: skip
    return Question(turns, request.pictures, options)


class SeenAnswer(Iterator[Piece]):
    """One answer, which comes in one piece."""

    def __init__(self, compute: Callable[[Stopped], dict[str, Any]]) -> None:
        self.prompt_tokens = 0
        self.tokens = 0
        self.finish_reason: str | None = None
        self._compute = compute
        self._stop: tuple[str, ...] = ()
        self._begun = False
        self._over = threading.Event()

    @classmethod
    def answers(cls, request: Request, compute: Callable[[int | None, Stopped], dict[str, Any]]) -> Answers:
        """Return the answers to a request; each is computed when it is waited for, until nobody wants it any more."""

        def one(seed: int | None) -> Written:
            answer = cls(lambda stopped: compute(seed, stopped))
            answer._stop = request.sampling.stop
            return answer

        written = [one(seed) for seed in seeds(request.sampling, request.n)]
        return Answers(request, written, [""], _Plain(), "fp_pictures")

    def __next__(self) -> Piece:
        """Compute the answer.

        Raises:
            TunesmithError: what went wrong.
        """
        if self._begun or self._over.is_set():
            raise StopIteration
        self._begun = True
        found = self._compute(self._over.is_set)
        self.prompt_tokens, self.tokens = int(found.get("prompt_tokens", 0)), int(found.get("tokens", 0))
        self.finish_reason = str(found.get("finish_reason", "stop"))
        text = str(found["text"])
        places = [place for place in (text.find(stop) for stop in self._stop) if place >= 0]
        if places:
            self.finish_reason = "stop"
        return Piece(text[: min(places)] if places else text, ())

    def close(self) -> None:
        """End what is being computed, and begin nothing any more."""
        self._over.set()


class _Plain:
    """Spells no tokens: none are told of."""

    def bytes_of(self, token: int) -> bytes:
        raise LookupError(token)

    def text_of(self, token: int) -> str:
        raise LookupError(token)
