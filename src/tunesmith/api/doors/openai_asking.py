"""What OpenAI's clients ask a model: chats, texts to go on with, texts to embed.

The engine reads every field that is listed, and refuses by its name what it does not do.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints

from tunesmith.spec.recipe import Part

CHAT: Final[dict[str, Any]] = {
    "model": "ft:smollm2-135m-instruct:default:support:abc123def456",
    "messages": [{"role": "user", "content": "What are your opening hours?"}],
    "max_tokens": 64,
    "temperature": 0.7,
}
COMPLETION: Final[dict[str, Any]] = {
    "model": "smollm2-135m-instruct",
    "prompt": "The three primary colours are",
    "max_tokens": 16,
}
EMBEDDING: Final[dict[str, Any]] = {"model": "minilm-l6", "input": ["What are your hours?", "When do you open?"]}
LONGEST: Final = 1_048_576
"""Tokens of an answer, at most, whatever the model can see."""

Model = Annotated[str, Field(min_length=1, max_length=4096)]
Text = Annotated[str, StringConstraints(min_length=1)]
Tokens = Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]
Texts = str | Tokens | Annotated[list[str | Tokens], Field(min_length=1, max_length=2048)]
"""One text or several, each as text or as its tokens."""


class ChatMessage(Part):
    """What somebody said."""

    model_config = ConfigDict(extra="allow")

    role: str = Field(min_length=1, max_length=64)
    """system (or developer), user, assistant or tool."""
    content: str | list[dict[str, Any]] | None = None
    """Text, or parts such as {"type": "text", "text": "..."}."""


class StreamOptions(Part):
    """What a stream holds besides."""

    include_usage: bool | None = None
    """End with a chunk that counts tokens."""
    include_obfuscation: bool | None = None
    """Only false is taken: nothing is padded."""


class Said(Part):
    """Who asks, as OpenAI's clients say it; it changes no answer."""

    model: Model
    """A name of /v1/models, a checkpoint's name, ORGANISATION/NAME, or the id of a model or a job."""
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, Any] | None = None


class Asked(Said):
    """How answers are drawn."""

    max_tokens: int | None = Field(None, ge=0, le=LONGEST)
    """Longest answer, in tokens. Open: 16 for a text; a chat may go on to the end of what the model sees."""
    temperature: float | None = Field(None, ge=0, le=2)
    """0 takes the likeliest token each time; higher draws more freely."""
    top_p: float | None = Field(None, ge=0, le=1)
    """Draw only among the likeliest tokens that together have this probability."""
    top_k: int | None = Field(None, ge=0, le=LONGEST)
    """Draw only among this many likeliest tokens; 0 means all. OpenAI has no such field."""
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    """Makes a drawn answer repeatable."""
    stop: Text | Annotated[list[Text], Field(max_length=16)] | None = None
    """Texts that end the answer; they are not part of it."""
    n: int | None = Field(None, ge=1, le=128)
    """Answers to draw."""
    stream: bool | None = None
    """Send the answer as it is made, as server-sent events that end with `data: [DONE]`."""
    stream_options: StreamOptions | None = None
    """Only beside `stream: true`."""
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    """What a token's logit loses for each time that the answer has it already."""
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    """The same once, however often the answer has it."""
    logit_bias: dict[str, float] | None = None
    """Only empty, unless vLLM is the engine; so with the fields that follow, whose value for nothing is OpenAI's."""
    response_format: dict[str, Any] | None = None
    store: bool | None = None
    service_tier: str | None = None
    modalities: list[str] | None = None


class ChatRequest(Asked):
    """A conversation to go on with."""

    model_config = ConfigDict(json_schema_extra={"examples": [CHAT]})

    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1, le=LONGEST)
    """OpenAI's other name of max_tokens."""
    logprobs: bool | None = None
    """Tell how likely each token was."""
    top_logprobs: int | None = Field(None, ge=0, le=20)
    """Tell so many of the likeliest tokens at each place."""
    tools: list[dict[str, Any]] | None = None
    """What the answer may call, for models whose template shows it to them."""
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None


class CompletionRequest(Asked):
    """A text to go on with."""

    model_config = ConfigDict(json_schema_extra={"examples": [COMPLETION]})

    prompt: Texts
    echo: bool | None = None
    """Begin the answer with the prompt."""
    logprobs: int | None = Field(None, ge=0, le=5)
    """Tell how likely each token was, and so many of the likeliest at each place."""
    best_of: int | None = Field(None, ge=1, le=128)
    """Only the same number as n."""
    suffix: str | None = None
    """Only none: nothing is filled in."""


class EmbeddingRequest(Said):
    """Texts to be turned into vectors."""

    model_config = ConfigDict(json_schema_extra={"examples": [EMBEDDING]})

    input: Texts
    encoding_format: str | None = Field(None, pattern="^(float|base64)$")
    """float: numbers; base64: the bytes of 32-bit floats."""
    dimensions: int | None = Field(None, ge=1, le=1_000_000)
    """Keep only the first so many numbers of each vector, normalised again."""


def body(request: Said) -> dict[str, Any]:
    """Return what a request says, as the engine takes it; null is as good as left out."""
    return request.model_dump(mode="json", exclude_unset=True, exclude_none=True)
