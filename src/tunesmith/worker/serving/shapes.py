"""OpenAI's answers: chat and text completions, whole and in chunks, with probabilities and counts of tokens."""

from __future__ import annotations

import codecs
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tunesmith.generation.asking import Token
from tunesmith.worker.serving.requests import Request
from tunesmith.worker.serving.writing import Piece


class Spells(Protocol):
    """Says what single tokens say."""

    def bytes_of(self, token: int) -> bytes:
        """Return the bytes that a token adds to a text."""
        ...

    def text_of(self, token: int) -> str:
        """Return the same as text."""
        ...


@dataclass
class Choice:
    """One of the answers, as far as it has come."""

    index: int
    text: str = ""
    """What has come so far, the echoed prompt included."""
    tokens: list[Token] = field(default_factory=list)
    finish_reason: str | None = None
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    """OpenAI's objects of the calls that the answer makes."""

    def add(self, piece: Piece) -> None:
        """Take in what has come."""
        self.text += piece.text
        self.tokens += piece.tokens


class Shape:
    """Renders the answers to one request."""

    def __init__(self, request: Request, model: str, spelling: Spells, fingerprint: str) -> None:
        """``fingerprint`` names the model and what it runs on: the same seed draws the same answer where it is."""
        self._request = request
        self._spelling = spelling
        self._head = {
            "id": f"{'chatcmpl' if request.chat else 'cmpl'}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": fingerprint,
        }

    def whole(self, choices: Sequence[Choice], usage: Mapping[str, int]) -> dict[str, Any]:
        """Render complete answers."""
        kind = "chat.completion" if self._request.chat else "text_completion"
        return {
            **self._head,
            "object": kind,
            "choices": [self._whole(choice) for choice in choices],
            "usage": dict(usage),
        }

    def first(self, choice: Choice) -> dict[str, Any] | None:
        """Render the chunk that opens an answer: who speaks, or the echoed prompt; None where there is neither."""
        if self._request.chat:
            return self._chunk(choice, {"delta": {"role": "assistant", "content": "", "refusal": None}})
        return self._chunk(choice, {"text": choice.text}) if choice.text else None

    def piece(self, choice: Choice, piece: Piece) -> dict[str, Any]:
        """Render the next piece, before it is added to the choice."""
        said = {"delta": {"content": piece.text}} if self._request.chat else {"text": piece.text}
        return self._chunk(choice, {**said, "logprobs": self._logprobs(piece.tokens, len(choice.text))})

    def calls(self, choice: Choice) -> dict[str, Any]:
        """Render the calls that an answer makes."""
        numbered = [{"index": place, **call} for place, call in enumerate(choice.tool_calls)]
        return self._chunk(choice, {"delta": {"tool_calls": numbered}, "finish_reason": None})

    def last(self, choice: Choice) -> dict[str, Any]:
        """Render the chunk that says why an answer ended."""
        return self._chunk(choice, {"delta": {}} if self._request.chat else {"text": ""})

    def usage(self, usage: Mapping[str, int]) -> dict[str, Any]:
        """Render the chunk that counts tokens."""
        return {**self._head, "object": self._kind(), "choices": [], "usage": dict(usage)}

    def _whole(self, choice: Choice) -> dict[str, Any]:
        logprobs = self._logprobs(choice.tokens, 0)
        if not self._request.chat:
            said: dict[str, Any] = {"text": choice.text}
        else:
            message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
            if choice.tool_calls:
                message |= {"content": choice.text or None, "tool_calls": choice.tool_calls}
            said = {"message": message}
        return {"index": choice.index, **said, "logprobs": logprobs, "finish_reason": choice.finish_reason}

    def _chunk(self, choice: Choice, said: Mapping[str, Any]) -> dict[str, Any]:
        rendered = {"index": choice.index, "logprobs": None, "finish_reason": choice.finish_reason, **said}
        chunk = {**self._head, "object": self._kind(), "choices": [rendered]}
        return chunk | {"usage": None} if self._request.with_usage else chunk

    def _kind(self) -> str:
        return "chat.completion.chunk" if self._request.chat else "text_completion"

    def _logprobs(self, tokens: Sequence[Token], begin: int) -> dict[str, Any] | None:
        """Render the probabilities of tokens whose text begins at a place of the answer."""
        if self._request.logprobs is None:
            return None
        if self._request.chat:
            return {"content": [self._entry(token) for token in tokens], "refusal": None}
        spell = self._spelling.text_of
        return {
            "tokens": [spell(token.id) for token in tokens],
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [{spell(n): chance for n, chance in ((t.id, t.logprob), *t.top)} for t in tokens],
            "text_offset": list(self._offsets(tokens, begin)),
        }

    def _offsets(self, tokens: Sequence[Token], begin: int) -> Iterator[int]:
        """Yield the character at which each token begins; half a character counts with the token that completes it."""
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        for token in tokens:
            yield begin
            begin += len(decoder.decode(self._spelling.bytes_of(token.id)))

    def _entry(self, token: Token) -> dict[str, Any]:
        top = [self._spelled(number, chance) for number, chance in token.top]
        return {**self._spelled(token.id, token.logprob), "top_logprobs": top}

    def _spelled(self, number: int, logprob: float | None) -> dict[str, Any]:
        content = self._spelling.bytes_of(number)
        return {"token": content.decode(errors="replace"), "logprob": logprob, "bytes": list(content)}


def usage_of(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    """Count tokens as OpenAI does."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
