"""The models that are loaded on this machine: a process for each base, started when somebody asks, ended when short."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from tunesmith.service.serving.targets import Target
    from tunesmith.settings import Settings

CHAT: Final = "/v1/chat/completions"
COMPLETIONS: Final = "/v1/completions"
EMBEDDINGS: Final = "/v1/embeddings"


@dataclass(frozen=True)
class Loaded:
    """Something that is loaded."""

    name: str
    org: str | None
    """Whose it is; None: everybody's."""
    base: str
    """Folder."""
    adapter: str | None
    """Folder."""
    model: str | None
    """Id in the registry."""
    bytes: int
    """Memory of the process, measured, for a base; of the weights for an adapter."""
    running: int
    """Requests that are being answered by it."""
    used_at: float
    """Seconds since the epoch."""


class Chunks(Protocol):
    """The chunks of a streamed answer, OpenAI's objects. Raises ModelGone or Relayed in the middle; close it always."""

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """Begin."""
        ...

    async def __anext__(self) -> dict[str, Any]:
        """Return the next chunk."""
        ...

    async def aclose(self) -> None:
        """End the answer here; its computation ends within a second."""
        ...


class Engine(Protocol):
    """One loaded model for one request after another."""

    def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the whole answer to OpenAI's body."""
        ...

    def stream(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Return the chunks of an answer; a generator, whose ``close`` ends the answer."""
        ...


class AsyncEngine(Protocol):
    """The same for coroutines."""

    async def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the whole answer to OpenAI's body; cancelled, it ends the computation."""
        ...

    async def stream(self, path: str, body: Mapping[str, Any]) -> Chunks:
        """Return the chunks of an answer once it has begun; what is wrong with the request is raised here."""
        ...


class ServingPool:
    """Loaded models. One of each process of the service: ``service.serving``; safe for threads and coroutines.

    ``body`` is always what OpenAI documents; ``stream`` and ``model`` in it are set here. Raised by every call that
    answers, in the words of whoever found it: Relayed (with the status of the fault: an unknown key, a prompt that is
    too long), ServerBusy (429, with ``wait`` seconds), ModelGone (503), AdapterTooLarge, AdapterNotLive.
    """

    def __init__(self, settings: Settings) -> None: ...

    def opened(self, target: Target) -> AbstractContextManager[Engine]:
        """Have a model loaded for as long as a ``with`` block lasts, waiting for it as long as it takes to load."""
        raise NotImplementedError

    def opened_async(self, target: Target) -> AbstractAsyncContextManager[AsyncEngine]:
        """Do the same for coroutines."""
        raise NotImplementedError

    async def ask(self, target: Target, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Load if need be, and return the whole answer."""
        raise NotImplementedError

    async def stream(self, target: Target, path: str, body: Mapping[str, Any]) -> Chunks:
        """Load if need be, and return the chunks of an answer once it has begun; closing them lets go of the model."""
        raise NotImplementedError

    def load(self, target: Target) -> Loaded:
        """Load a model ahead, and see that its adapter is live."""
        raise NotImplementedError

    def loaded(self) -> list[Loaded]:
        """Return what is loaded, whoever it belongs to: the caller leaves out what its principal must not see."""
        raise NotImplementedError

    def unload(self, target: Target) -> bool:
        """Unload an adapter, or a base that nobody uses; return whether it was loaded."""
        raise NotImplementedError

    def clear(self, org: str | None = None) -> int:
        """Unload all that nobody is using (of one organisation: what is its own); return how many there were."""
        raise NotImplementedError

    def close(self) -> None:
        """End every process."""
