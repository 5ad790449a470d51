"""A chat with a model that sees pictures: what is asked about which picture, and the answer as completions have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tunesmith.spec.errors import BadValue, NotServed
from tunesmith.spec.examples import Conversation
from tunesmith.worker.serving.answers import Answers, Written
from tunesmith.worker.serving.requests import Request, seeds
from tunesmith.worker.serving.writing import Piece

SINGLE: Final = "one user's message, and a system message at most: models that see pictures answer single questions"
LONGEST: Final = 512
"""Tokens of an answer where the request does not say."""


@dataclass(frozen=True)
class Question:
    """What is asked, and about what."""

    picture: bytes | None
    text: str
    options: dict[str, Any]


def asked_about(request: Request) -> Question:
    """Return the question of a chat.

    Raises:
        BadValue: it goes on with a conversation, or shows more than one picture.
        NotServed: it asks for something that only models of text do.
    """
    if request.logprobs is not None:
        raise NotServed("logprobs", (False,))
    if request.penalties is not None:
        raise NotServed("frequency_penalty", (0,))
    if request.sampling.top_p < 1:
        raise NotServed("top_p", (1,))
    if request.sampling.top_k:
        raise NotServed("top_k", (0,))
    if request.tools:
        raise NotServed("tools", ([],))
    prompt = request.prompts[0]
    if not isinstance(prompt, Conversation):
        raise BadValue("messages", None, "a chat: models that see pictures go on with no texts")
    told = [turn.content for turn in prompt.messages if turn.role == "system"]
    asked = [turn for turn in prompt.messages if turn.role != "system"]
    if len(asked) != 1 or asked[0].role != "user" or len(told) > 1:
        raise BadValue("messages", f"{len(prompt.messages)} messages", SINGLE)
    if len(request.pictures) > 1:
        raise BadValue("messages", f"{len(request.pictures)} pictures", "a message with one picture at most")
    drawn = request.sampling
    options: dict[str, Any] = {"max_tokens": request.max_tokens or LONGEST, "temperature": drawn.temperature}
    text = "\n\n".join([*told, asked[0].content])
    return Question(request.pictures[0] if request.pictures else None, text, options)


class SeenAnswer(Iterator[Piece]):
    """One answer, which comes in one piece."""

    def __init__(self, compute: Callable[[], dict[str, Any]]) -> None:
        self.prompt_tokens = 0
        self.tokens = 0
        self.finish_reason: str | None = None
        self._compute = compute
        self._stop: tuple[str, ...] = ()
        self._over = False

    @classmethod
    def answers(cls, request: Request, compute: Callable[[int | None], dict[str, Any]]) -> Answers:
        """Return the answers to a request; each is computed when it is waited for."""

        def one(seed: int | None) -> Written:
            answer = cls(lambda: compute(seed))
            answer._stop = request.sampling.stop
            return answer

        written = [one(seed) for seed in seeds(request.sampling, request.n)]
        return Answers(request, written, [""], _Plain(), "fp_pictures")

    def __next__(self) -> Piece:
        """Compute the answer.

        Raises:
            TunesmithError: what went wrong.
        """
        if self._over:
            raise StopIteration
        self._over = True
        found = self._compute()
        self.prompt_tokens, self.tokens = int(found.get("prompt_tokens", 0)), int(found.get("tokens", 0))
        self.finish_reason = str(found.get("finish_reason", "stop"))
        text = str(found["text"])
        places = [place for place in (text.find(stop) for stop in self._stop) if place >= 0]
        return Piece(text[: min(places)] if places else text, ())

    def close(self) -> None:
        """Begin nothing any more; what is being computed is short."""
        self._over = True


class _Plain:
    """Spells no tokens: none are told of."""

    def bytes_of(self, token: int) -> bytes:
        raise LookupError(token)

    def text_of(self, token: int) -> str:
        raise LookupError(token)
