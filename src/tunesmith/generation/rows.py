"""An answer that is being written, and what of it goes through the model next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tunesmith.generation.asking import Ask, Ticket

if TYPE_CHECKING:
    import torch

    from tunesmith.generation.bank import Adapter
    from tunesmith.generation.slabs import Slab


@dataclass(eq=False)
class Row:
    """One answer: what was asked, how far it is, and where its keys and values lie."""

    ask: Ask
    ticket: Ticket
    limit: int
    """Most tokens that it may write."""
    adapter: Adapter | None = None
    chooser: torch.Generator | None = None
    """Draws its tokens; None where the likeliest is taken."""
    seen: int = 0
    """Tokens whose keys and values are stored."""
    written: int = 0
    counts: Counter[int] = field(default_factory=Counter)
    """How often it wrote each token, where repeating costs something."""
    last: int = 0
    """The token that was written last."""
    slab: Slab | None = None
    slot: int = 0
    state: object = None
    """What a model that is run row by row remembers of it."""

    @property
    def reading(self) -> bool:
        """Whether some of its prompt has not gone through the model."""
        return self.seen < len(self.ask.ids)


@dataclass(frozen=True)
class Part:
    """Tokens of one row that go through the model in one pass."""

    row: Row
    ids: Sequence[int]
    wanted: bool = field(default=True)
    """Whether the token after the last one is to be drawn."""
