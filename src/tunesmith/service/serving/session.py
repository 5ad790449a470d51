"""Somebody to talk to for as long as a ``with`` block lasts: a model in a process of its own, or one of a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol, Self
from urllib.parse import quote

from tunesmith.service.serving.pool import CHAT, PREDICT, ServingPool
from tunesmith.service.serving.wire import Wire
from tunesmith.spec.errors import ModelGone

if TYPE_CHECKING:
    from tunesmith.service.serving.pool import Engine
    from tunesmith.service.serving.targets import Target
    from tunesmith.service.system.server_file import ServerAddress
    from tunesmith.settings import Settings

COUNTED: Final = {"max_tokens": 256, "temperature": 0.0, "stream_options": {"include_usage": True}}
"""What a command asks where nothing is typed: the likeliest words, and at the end the number of tokens."""


class Reply(Iterator[str]):
    """The pieces of one answer; closing it ends the computation."""

    def __init__(self, chunks: Iterator[dict[str, Any]]) -> None:
        self.finish_reason: str | None = None
        """stop or length, once the answer is complete."""
        self.text = ""
        """What has come so far."""
        self.usage: dict[str, Any] = {}
        """OpenAI's token counts, once the answer is complete."""
        self._chunks = chunks
        self._pieces = self._read()

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        """Hang up."""
        if (close := getattr(self._chunks, "close", None)) is not None:
            close()

    def _read(self) -> Iterator[str]:
        for chunk in self._chunks:
            self.usage = chunk.get("usage") or self.usage
            for choice in chunk["choices"]:
                self.finish_reason = choice["finish_reason"] or self.finish_reason
                if text := choice["delta"].get("content"):
                    self.text += text
                    yield text


class Session(Protocol):
    """A ``with`` block; in it, a model that answers."""

    @property
    def model(self) -> str:
        """What the model is called."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What may be wrong, though it works, a sentence each."""
        ...

    def __enter__(self) -> Self:
        """Begin, once the model answers.

        Raises:
            TunesmithError: whatever keeps it from answering, in its own words.
        """
        ...

    def __exit__(self, *raised: object) -> None:
        """End it."""
        ...

    def chat(self, messages: Sequence[Mapping[str, str]], **sampling: Any) -> Reply:
        """Start an answer to a conversation; iterate over it for the text, close it to end it early."""
        ...

    def predict(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        """Answer about a picture or a recording."""
        ...


class OwnSession:
    """A model that is loaded for this alone; nothing is left of it."""

    def __init__(
        self,
        settings: Settings,
        target: Target,
        *,
        device: str | None = None,
        precision: str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.model = target.name
        self.notes = notes
        self.target = target
        self._pool = ServingPool(settings, device=device, precision=precision)
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Load the model."""
        try:
            self._opened()
        except BaseException:
            self._pool.close()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        """End its process."""
        self._held.close()
        self._pool.close()

    def chat(self, messages: Sequence[Mapping[str, str]], **sampling: Any) -> Reply:
        """Start an answer."""
        return Reply(self._opened().stream(CHAT, {"messages": list(messages), **COUNTED, **sampling}))

    def predict(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        """Answer about a picture or a recording."""
        return self._opened().ask(PREDICT, shown)

    def _opened(self) -> Engine:
        """Return the model: loaded before, or again where its process died."""
        held = ExitStack()
        engine = held.enter_context(self._pool.opened(self.target))
        self._held.close()
        self._held = held
        return engine


class ServerSession:
    """A model of a server that lives on this machine."""

    def __init__(self, address: ServerAddress, model: str) -> None:
        self.model = model
        self.notes: Sequence[str] = ()
        headers = {"Authorization": f"Bearer {address.token}"}
        self._wire = Wire(address.url, lambda: ModelGone("its server ended"), waiting=0, headers=headers)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Leave the model to its server."""

    @property
    def is_there(self) -> bool:
        """Whether the server has the model."""
        return self._wire.answers(f"/v1/models/{quote(self.model, safe='')}")

    def chat(self, messages: Sequence[Mapping[str, str]], **sampling: Any) -> Reply:
        """Start an answer."""
        body = {"model": self.model, "messages": list(messages), "stream": True, **COUNTED, **sampling}
        return Reply(self._wire.stream(CHAT, body))

    def predict(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        """Answer about a picture or a recording."""
        return self._wire.ask("POST", "/api/predict", {"model": self.model, **shown})
