"""How a model is asked before and after its training: what each task's ``Respondent`` has to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Question:
    """Something to ask a model before and after its training."""

    shown: str
    expected: str
    asked: Any
    """What the respondent makes its tokens of."""


class Respondent(Protocol):
    """How models of a task are asked."""

    def questions(self, held_out: Sequence[Any], prompts: Sequence[str], count: int) -> list[Question]:
        """Take the first ``count`` held-out examples that can be asked, and all ``prompts``."""
        ...

    def answers(self, model: Any, encoder: Any, questions: Sequence[Question]) -> list[str]:
        """Answer each of them."""
        ...


class Artist(Protocol):
    """How a model that makes pictures is asked for some."""

    def draw(self, prompts: Sequence[str], *, seeds: Sequence[int], steps: int, base: bool = False) -> list[bytes]:
        """Return a picture of each prompt as PNG; ``base`` draws without the adapter."""
        ...


class Silent:
    """Models that are not asked."""

    def questions(self, held_out: Sequence[Any], prompts: Sequence[str], count: int) -> list[Question]:
        """Ask nothing."""
        return []

    def answers(self, model: Any, encoder: Any, questions: Sequence[Question]) -> list[str]:
        """Answer nothing."""
        return []
