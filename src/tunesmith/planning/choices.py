"""The running record of a plan: what was typed stays, what was left open is chosen, and either is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from tunesmith.spec.job import JobSpec
from tunesmith.spec.plan import Decision

GIVEN: Final = "given"
"""The reason of a value that the user typed."""
SUGGESTED: Final = "the default of this way in"
"""The reason of a value that was suggested (``suggestions.py``)."""

T = TypeVar("T")


class Choices:
    """Collects decisions and warnings while a plan is made."""

    def __init__(self, spec: JobSpec, suggested: Iterable[str] = ()) -> None:
        self._spec = spec
        self._suggested = dict.fromkeys(suggested, SUGGESTED)
        self._dropped: dict[str, str] = {}
        self.decisions: list[Decision] = []
        self.warnings: list[str] = []

    def settle(self, field: str, typed: T | None, choose: Callable[[], tuple[T, str]]) -> T:
        """Return the typed value, or else the chosen one; ``choose`` returns it with its reason."""
        value, reason = choose() if typed is None else (typed, GIVEN)
        self.note(field, value, reason)
        return value

    def note(self, field: str, value: object, reason: str) -> None:
        """Write a decision down."""
        if field in self._dropped:
            reason = f"{self._dropped[field]}; {reason}"
        reason = self._suggested.get(field, reason)
        self.decisions.append(Decision(field=field, value=value, reason=reason))

    def suggests(self, field: str) -> bool:
        """Whether the field has the value that was suggested for it."""
        return field in self._suggested

    def suggest(self, field: str, reason: str) -> None:
        """Give another reason for a suggestion that is taken."""
        self._suggested[field] = reason

    def drop(self, field: str, why: str) -> None:
        """Take a suggestion back: the field is open again, and its decision will say why."""
        del self._suggested[field]
        self._dropped[field] = why

    def note_suggested(self, unused: Iterable[str]) -> None:
        """Write down what was suggested, taken and not decided elsewhere; ``unused`` are beginnings to leave out."""
        decided = {decision.field for decision in self.decisions}
        for field in self._suggested:
            if field not in decided and not field.startswith(tuple(unused)):
                value: Any = self._spec
                for name in field.split("."):
                    value = value[name] if isinstance(value, dict) else getattr(value, name)
                self.note(field, value, SUGGESTED)

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
        if name not in part.model_fields_set or value is None or name == "suggested":
            continue
        if isinstance(value, BaseModel):
            yield from typed_fields(value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            yield from ((f"{prefix}{name}.{key}", entry) for key, entry in value.items())
        elif name not in ("schema_version", "datasets"):
            yield f"{prefix}{name}", value
