"""Many answers at once from one loaded model: rows join and leave the batch between its steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.generation.asking import Ask, Ticket, Token

__all__ = ["AdapterFacts", "Ask", "Decoder", "Stats", "Ticket", "Token"]


@dataclass(frozen=True)
class AdapterFacts:
    """An adapter in memory."""

    key: str
    bytes: int
    rank: int
    trained: bool
    """Whether its weights change anything: B of at least one layer is not all zero."""
    difference: float
    """Largest difference of its logits from the model's own after a probe prompt."""
    used_at: float
    """When it was last asked, in seconds since 1970."""


@dataclass(frozen=True)
class Stats:
    """How much a decoder does."""

    running: int
    waiting: int
    tokens: int
    """Tokens written since the start."""
    cache_bytes: int
    """Memory of keys and values now."""
    adapter_bytes: int


class Decoder:
    """Answers asks with a model, each row with its own adapter. All methods may be called from any thread."""

    def __init__(self, model: Any, *, rows: int = 8, waiting: int = 64, adapter_bytes: int | None = None) -> None:
        """``rows`` answers run at once, ``waiting`` wait; ``adapter_bytes`` bounds the memory of adapters."""
        self.limit: int | None = None
        """Positions that the model can see, in tokens; None where its configuration does not say."""
        raise NotImplementedError

    def submit(self, ask: Ask) -> Ticket:
        """Queue an ask; iterate over the ticket for its tokens.

        Raises:
            PromptTooLong: the model sees fewer tokens than the prompt has.
            ServerBusy: more asks wait than may wait.
            AdapterNotLoaded: nobody loaded the adapter that the ask names, or it has left since.
        """
        raise NotImplementedError

    def load_adapter(self, key: str, folder: Path) -> AdapterFacts:
        """Load an adapter under a key and prove that it is live; a key that is loaded already is only used again.

        The least recently used ones leave when ``adapter_bytes`` is short; those that answer now stay.

        Raises:
            AdapterMismatch: a layer of the adapter is not in the model, or has another size there.
            AdapterNotPerRow: it changes more than linear layers (``lora.per_row`` tells before).
            AdapterNotLive: its weights are trained and change no answer.
            NoRoomForAdapter: the adapters that answer now leave no room.
        """
        raise NotImplementedError

    def unload_adapter(self, key: str) -> bool:
        """Drop an adapter once its last row has ended; later asks are refused at once. Says whether there was one."""
        raise NotImplementedError

    def adapters(self) -> list[AdapterFacts]:
        """List the adapters in memory, least recently used first."""
        raise NotImplementedError

    def stats(self) -> Stats:
        """Count what runs, waits and takes memory."""
        raise NotImplementedError

    def close(self) -> None:
        """End every answer and the thread that computes."""
        raise NotImplementedError
