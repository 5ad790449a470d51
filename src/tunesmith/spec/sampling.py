"""How an answer is drawn from a language model: plain values, no torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

from tunesmith.spec.errors import BadValue


@dataclass(frozen=True)
class Sampling:
    """One answer's settings. The defaults answer the same way each time."""

    max_tokens: int = 256
    """Longest answer, in tokens."""
    temperature: float = 0.0
    """0 takes the likeliest token each time; higher draws more freely."""
    top_p: float = 1.0
    """Draw only among the likeliest tokens that together have this probability (https://arxiv.org/abs/1904.09751)."""
    top_k: int = 0
    """Draw only among this many likeliest tokens; 0 means all."""
    seed: int | None = None
    """Makes a drawn answer repeatable."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer; they are not part of it."""

    def __post_init__(self) -> None:
        _within("max_tokens", self.max_tokens, 1, 1_048_576)
        _within("temperature", self.temperature, 0, 10)
        _within("top_p", self.top_p, 0, 1)
        _within("top_k", self.top_k, 0, 1_048_576)
        if self.seed is not None:
            _within("seed", self.seed, -(2**63), 2**63 - 1)

    @classmethod
    def of(cls, typed: dict[str, object]) -> Self:
        """Build from values that may be None, which means "the default"."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in typed.items() if name in known and value is not None})  # type: ignore[arg-type]


def _within(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadValue(name, value, f"a number from {low:g} to {high:g}")
