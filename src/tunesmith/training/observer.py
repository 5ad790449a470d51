"""Whom the loop tells what happens, and who keeps its checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from tunesmith.spec.events import Body
    from tunesmith.spec.states import Request
    from tunesmith.training.loop import Loop


class Observer(Protocol):
    """The worker, as the loop sees it."""

    def say(self, body: Body) -> None:
        """Hear an event."""
        ...

    def beat(self, step: int) -> None:
        """Hear, between any two parts of a step or an evaluation, that the run lives."""
        ...

    def request(self) -> Request:
        """Tell what was asked of the run."""
        ...

    def acknowledge(self, request: Request, step: int) -> None:
        """Hear that the loop does what was asked."""
        ...

    def save(self, loop: Loop, *, best: bool, reason: str) -> None:
        """Commit a checkpoint of ``loop`` (by ``loop.write``)."""
        ...

    def checkpoint_of(self, step: int | None) -> Path | None:
        """Return the folder of a checkpoint that verifies: of ``step``, or the newest."""
        ...
