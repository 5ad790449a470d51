"""Where every token of the training data went: each is in exactly one class, so the shares sum to 100 %."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Entry:
    """Tokens of one source by class."""

    name: str
    trained: int = 0
    """They carry a label."""
    context: int = 0
    """They are read, not trained."""
    repeated: int = 0
    """Context that is read once more, because the template renders earlier turns anew for every answer."""
    truncated: int = 0
    """Cut off at the length limit."""
    dropped: int = 0
    """In rows left out because the limit, or the template, left no token to train."""
    duplicate: int = 0
    """In rows left out as duplicates (only when asked to)."""
    leaked: int = 0
    """In rows left out because their twin is a validation row."""

    @property
    def tokens(self) -> int:
        """Sum of the classes."""
        return sum(getattr(self, name) for name in CLASSES)

    def shares(self) -> dict[str, float]:
        """Return each class in per cent of the tokens, to a tenth; all zero where there are none.

        They are rounded so that they sum to 100.0: the largest remainders are the ones that are rounded up.
        """
        tokens = self.tokens
        if not tokens:
            return dict.fromkeys(CLASSES, 0.0)
        tenths, remainders = {}, {}
        for name in CLASSES:
            tenths[name], remainders[name] = divmod(1000 * getattr(self, name), tokens)
        missing = 1000 - sum(tenths.values())
        for name in sorted(CLASSES, key=lambda name: -remainders[name])[:missing]:
            tenths[name] += 1
        return {name: tenth / 10 for name, tenth in tenths.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as plain data."""
        return asdict(self) | {"tokens": self.tokens, "shares": self.shares()}


CLASSES = tuple(field.name for field in fields(Entry) if field.name != "name")
"""Names of the classes, in the order in which people read them."""


@dataclass(frozen=True)
class Ledger:
    """One entry for each source of training rows."""

    sources: tuple[Entry, ...]

    @property
    def total(self) -> Entry:
        """Return the sum over all sources."""
        return combined("total", self.sources)

    def as_dict(self) -> dict[str, Any]:
        """Return the ledger as plain data, for events and ``--json``."""
        return {"sources": [entry.as_dict() for entry in self.sources], "total": self.total.as_dict()}


def combined(name: str, entries: Sequence[Entry]) -> Entry:
    """Add entries up."""
    return Entry(name, **{kind: sum(getattr(entry, kind) for entry in entries) for kind in CLASSES})
