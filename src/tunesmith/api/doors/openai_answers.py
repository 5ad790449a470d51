"""What a model answers OpenAI's clients, as the API's description shows it."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import ConfigDict

from tunesmith.spec.recipe import Part

USAGE: Final[dict[str, Any]] = {"prompt_tokens": 38, "completion_tokens": 9, "total_tokens": 47}
ANSWER: Final[dict[str, Any]] = {
    "id": "chatcmpl-4f0c1d2e3a5b6c7d8e9f0a1b2c3d4e5f",
    "object": "chat.completion",
    "created": 1763725312,
    "model": "ft:smollm2-135m-instruct:default:support:abc123def456",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "We are open from nine to five."},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
}


class Usage(Part):
    """Tokens that were read and written."""

    model_config = ConfigDict(extra="allow")

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Written(Part):
    """What every answer says of itself."""

    model_config = ConfigDict(extra="allow")

    id: str
    created: int
    model: str
    usage: Usage


class AnswerMessage(Part):
    """What the model said."""

    model_config = ConfigDict(extra="allow")

    role: Literal["assistant"]
    content: str | None


class ChatChoice(Part):
    """One answer of those that were drawn."""

    model_config = ConfigDict(extra="allow")

    index: int
    message: AnswerMessage
    logprobs: dict[str, Any] | None = None
    finish_reason: str | None
    """stop, or length where max_tokens or the model's own length ended it."""


class ChatCompletion(Written):
    """The answer to a chat."""

    model_config = ConfigDict(json_schema_extra={"examples": [ANSWER]})

    object: Literal["chat.completion"]
    choices: list[ChatChoice]


class TextChoice(Part):
    """One text of those that were drawn."""

    model_config = ConfigDict(extra="allow")

    index: int
    text: str
    logprobs: dict[str, Any] | None = None
    finish_reason: str | None


class TextCompletion(Written):
    """How a text goes on."""

    object: Literal["text_completion"]
    choices: list[TextChoice]


class EmbeddingUsage(Part):
    """Tokens that were read."""

    model_config = ConfigDict(extra="allow")

    prompt_tokens: int
    total_tokens: int


class Embedding(Part):
    """The vector of one text."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str
    """Numbers, or base64 where that was asked for."""


class Embeddings(Part):
    """The vectors of texts, in their order."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
