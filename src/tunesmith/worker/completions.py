"""The shapes of OpenAI's chat and text completions: read a request, render answers.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tunesmith.spec.errors import BadValue, TunesmithError, UnknownKey
from tunesmith.spec.examples import Message
from tunesmith.spec.sampling import Sampling

ROLES: Final = ("system", "user", "assistant", "tool")
SAMPLED: Final = frozenset({"temperature", "top_p", "top_k", "seed"})
READ: Final = SAMPLED | {"model", "messages", "prompt", "max_tokens", "max_completion_tokens", "stop", "stream"}
READ_OPTIONS: Final = frozenset({"stream_options", "user", "n", "metadata"})
"""Accepted because clients send them; ``n`` may only be 1."""


@dataclass(frozen=True)
class Request:
    """A completion that somebody wants."""

    chat: bool
    prompt: str | tuple[Message, ...]
    sampling: Sampling
    stream: bool
    with_usage: bool
    """Whether a stream ends with a chunk that counts tokens."""


def read_request(body: Mapping[str, Any], *, chat: bool) -> Request:
    """Check a request's body.

    Raises:
        UnknownKey: a key that nothing reads.
        BadValue: a value of the wrong kind, or one that is not there.
    """
    for key in body:
        if key not in READ | READ_OPTIONS:
            raise UnknownKey(key, "request", READ | READ_OPTIONS)
    if body.get("n", 1) not in (1, None):
        raise BadValue("n", body["n"], "1")
    options = body.get("stream_options") or {}
    return Request(
        chat=chat,
        prompt=_messages(body) if chat else _prompt(body),
        sampling=_sampling(body),
        stream=bool(body.get("stream")),
        with_usage=isinstance(options, dict) and bool(options.get("include_usage")),
    )


def _messages(body: Mapping[str, Any]) -> tuple[Message, ...]:
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise BadValue("messages", given, "a list of messages with role and content")
    return tuple(_message(turn, f"messages[{i}]") for i, turn in enumerate(given))


def _message(turn: Any, where: str) -> Message:
    if not isinstance(turn, dict):
        raise BadValue(where, turn, "a message with role and content")
    if turn.get("role") not in ROLES:
        raise BadValue(f"{where}.role", turn.get("role"), f"one of {', '.join(ROLES)}")
    content = turn.get("content")
    if isinstance(content, list):
        content = "".join(_part(part, where) for part in content)
    if not isinstance(content, str):
        raise BadValue(f"{where}.content", content, "text")
    return Message(role=turn["role"], content=content)


def _part(part: Any, where: str) -> str:
    if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
        raise BadValue(f"{where}.content", part, 'a part like {"type": "text", "text": "..."}')
    return str(part["text"])


def _prompt(body: Mapping[str, Any]) -> str:
    prompt = body.get("prompt")
    if not isinstance(prompt, str):
        raise BadValue("prompt", prompt, "text")
    return prompt


def _sampling(body: Mapping[str, Any]) -> Sampling:
    stop = body.get("stop") or ()
    stops = stop if isinstance(stop, list | tuple) else [stop]
    if not all(isinstance(text, str) for text in stops):
        raise BadValue("stop", stop, "text or a list of texts")
    longest = body.get("max_completion_tokens") or body.get("max_tokens")
    return Sampling.of({name: body.get(name) for name in SAMPLED} | {"max_tokens": longest, "stop": tuple(stops)})


class Renderer:
    """Writes one answer in OpenAI's shape, whole or in chunks."""

    def __init__(self, request: Request, model: str) -> None:
        self._chat = request.chat
        self._head = {
            "id": f"{'chatcmpl' if request.chat else 'cmpl'}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, text: str, finish_reason: str | None, usage: Mapping[str, int]) -> dict[str, Any]:
        """Render a complete answer."""
        said = {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": finish_reason}
        kind = "chat.completion" if self._chat else "text_completion"
        return {**self._head, "object": kind, "choices": [choice], "usage": dict(usage)}

    def first(self) -> dict[str, Any] | None:
        """Render the chunk that opens a chat answer; a text completion has none."""
        return self._chunk({"delta": {"role": "assistant", "content": ""}}, None) if self._chat else None

    def piece(self, text: str) -> dict[str, Any]:
        """Render the next piece of text."""
        return self._chunk({"delta": {"content": text}} if self._chat else {"text": text}, None)

    def last(self, finish_reason: str | None) -> dict[str, Any]:
        """Render the chunk that says why the answer ended."""
        return self._chunk({"delta": {}} if self._chat else {"text": ""}, finish_reason)

    def usage(self, usage: Mapping[str, int]) -> dict[str, Any]:
        """Render the chunk that counts tokens."""
        return {**self._head, "object": self._kind(), "choices": [], "usage": dict(usage)}

    def _chunk(self, said: Mapping[str, Any], finish_reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head, "object": self._kind(), "choices": [choice]}

    def _kind(self) -> str:
        return "chat.completion.chunk" if self._chat else "text_completion"


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    """Count tokens as OpenAI does."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def error_body(error: TunesmithError) -> dict[str, Any]:
    """Render an error in OpenAI's shape."""
    return error_of(error.message, error.code, "invalid_request_error" if error.status < 500 else "server_error")


def error_of(message: str, code: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    """Render a sentence as an error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
