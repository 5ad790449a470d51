"""The running record of a plan: what was typed stays, what was left open is chosen, and either is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from tunesmith.spec.job import JobSpec
from tunesmith.spec.plan import Decision

GIVEN: Final = "given"
"""The reason of a value that the user typed."""

T = TypeVar("T")


class Choices:
    """Collects decisions and warnings while a plan is made."""

    def __init__(self, spec: JobSpec) -> None:
        self._spec = spec
        self.decisions: list[Decision] = []
        self.warnings: list[str] = []

    def settle(self, field: str, typed: T | None, choose: Callable[[], tuple[T, str]]) -> T:
        """Return the typed value, or else the chosen one; ``choose`` returns it with its reason."""
        value, reason = choose() if typed is None else (typed, GIVEN)
        self.note(field, value, reason)
        return value

    def note(self, field: str, value: object, reason: str) -> None:
        """Write a decision down."""
        self.decisions.append(Decision(field=field, value=value, reason=reason))

    def warn(self, sentence: str) -> None:
        """Add a warning."""
        self.warnings.append(sentence)

    def note_typed(self) -> None:
        """Write down every value that was typed and that no decision was about."""
        decided = {decision.field for decision in self.decisions}
        for field, value in typed_fields(self._spec):
            if field not in decided:
                self.note(field, value, GIVEN)


def typed_fields(part: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields that were set, not defaulted, by dotted path; a list or a map is one value."""
    for name in type(part).model_fields:
        value = getattr(part, name)
        if name not in part.model_fields_set or value is None:
            continue
        if isinstance(value, BaseModel):
            yield from typed_fields(value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            yield from ((f"{prefix}{name}.{key}", entry) for key, entry in value.items())
        elif name not in ("schema_version", "datasets"):
            yield f"{prefix}{name}", value
