"""What can be asked of a serve run, and how each is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from tunesmith.spec.errors import BadValue
from tunesmith.worker.serving.answers import Answers
from tunesmith.worker.serving.calls import told
from tunesmith.worker.serving.embeddings import EmbeddingRequest, read_embedding
from tunesmith.worker.serving.fields import refuse_unknown
from tunesmith.worker.serving.requests import Request, read_chat, read_text
from tunesmith.worker.serving.shapes import Shape


class Engine(Protocol):
    """Whatever answers."""

    @property
    def name(self) -> str:
        """What answers call the model."""
        ...

    def write(self, request: Request) -> Answers:
        """Start the answers to a request."""
        ...

    def embed(self, request: EmbeddingRequest) -> dict[str, Any]:
        """Return OpenAI's object of the vectors of texts."""
        ...

    def load(self, adapter: str) -> dict[str, Any]:
        """Load an adapter ahead."""
        ...

    def unload(self, adapter: str) -> bool:
        """Drop an adapter."""
        ...

    def health(self) -> dict[str, Any]:
        """Say what is loaded."""
        ...

    def predict(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer about a picture or a recording."""
        ...

    def transcribe(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Write down what is said in a recording."""
        ...

    def draw(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make pictures."""
        ...


@dataclass(frozen=True)
class Completion:
    """An answer that takes its time."""

    answers: Answers
    whole: Callable[[], dict[str, Any]]
    """Waits for all of it."""
    chunks: Callable[[], Iterator[dict[str, Any]]] | None
    """Gives it chunk by chunk, where that is wanted."""


Reply = Completion | Mapping[str, Any]


def _chat(engine: Engine, body: Mapping[str, Any]) -> Reply:
    return _completion(engine, read_chat(body))


def _text(engine: Engine, body: Mapping[str, Any]) -> Reply:
    return _completion(engine, read_text(body))


def _completion(engine: Engine, request: Request) -> Completion:
    answers = engine.write(request)
    shape = Shape(request, request.served_as or engine.name, answers.spelling, answers.fingerprint)
    streamed = partial(_chunks, request, answers, shape) if request.stream else None
    return Completion(answers, partial(_whole, request, answers, shape), streamed)


def _whole(request: Request, answers: Answers, shape: Shape) -> dict[str, Any]:
    for choice, piece in told(answers, request.tools):
        if piece is not None:
            choice.add(piece)
    return shape.whole(answers.choices, answers.usage())


def _chunks(request: Request, answers: Answers, shape: Shape) -> Iterator[dict[str, Any]]:
    for choice in answers.choices:
        first = shape.first(choice)
        if first is not None:
            yield first
    for choice, piece in told(answers, request.tools):
        if piece is not None:
            yield shape.piece(choice, piece)
            choice.add(piece)
            continue
        if choice.tool_calls:
            yield shape.calls(choice)
        yield shape.last(choice)
    if request.with_usage:
        yield shape.usage(answers.usage())


def _embed(engine: Engine, body: Mapping[str, Any]) -> Reply:
    return engine.embed(read_embedding(body))


def _predict(engine: Engine, body: Mapping[str, Any]) -> Reply:
    return engine.predict(body)


def _transcribe(engine: Engine, body: Mapping[str, Any]) -> Reply:
    return engine.transcribe(body)


def _draw(engine: Engine, body: Mapping[str, Any]) -> Reply:
    return engine.draw(body)


def _load(engine: Engine, body: Mapping[str, Any]) -> Reply:
    return engine.load(_adapter(body))


def _unload(engine: Engine, body: Mapping[str, Any]) -> Reply:
    adapter = _adapter(body)
    return {"adapter": adapter, "unloaded": engine.unload(adapter)}


def _adapter(body: Mapping[str, Any]) -> str:
    refuse_unknown(body, ("adapter",))
    adapter = body.get("adapter")
    if not isinstance(adapter, str) or not adapter:
        raise BadValue("adapter", adapter, "a folder")
    return adapter


def _health(engine: Engine, body: Mapping[str, Any]) -> Reply:
    return engine.health()


ENDPOINTS: Final[Mapping[tuple[str, str], Callable[[Engine, Mapping[str, Any]], Reply]]] = {
    ("POST", "/v1/chat/completions"): _chat,
    ("POST", "/v1/completions"): _text,
    ("POST", "/v1/embeddings"): _embed,
    ("POST", "/predict"): _predict,
    ("POST", "/v1/audio/transcriptions"): _transcribe,
    ("POST", "/v1/images/generations"): _draw,
    ("POST", "/adapters"): _load,
    ("DELETE", "/adapters"): _unload,
    ("GET", "/healthz"): _health,
}
