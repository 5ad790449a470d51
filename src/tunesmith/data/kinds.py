"""The kinds of example by number, as the token cache keeps them."""

from __future__ import annotations

from typing import Final

from tunesmith.spec.examples import KINDS, Example

_ORDER: Final[tuple[type, ...]] = tuple(KINDS)

CONVERSATION, COMPLETION, TEXT, LABEL, PREFERENCE = range(5)


def kind_of(example: Example) -> int:
    """Return the number of an example's kind."""
    return _ORDER.index(type(example))
