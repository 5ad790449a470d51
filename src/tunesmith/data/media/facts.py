"""What a picture or a recording is: its size, or how long it lasts. It is decoded whole, so that damage is found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from tunesmith.data import media
from tunesmith.spec.errors import RowFault, Where
from tunesmith.spec.examples import Example

RATE: Final = 16_000
"""Samples a second at which recordings are listened to: the rate of the models that hear speech."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a file."""

    name: str
    kind: str
    """picture or recording."""
    width: int | None = None
    """Pixels, upright."""
    height: int | None = None
    seconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what applies to its kind, as plain data."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def facts_of(example: Example) -> list[Facts]:
    """Return what each picture and recording of a row is.

    Raises:
        RowFault: one is not there, or nothing can be learned from it.
    """
    return [_of(name, example.where) for name in media.named(example)]


def fault_of(example: Example) -> RowFault | None:
    """Return what is wrong with the first picture or recording of a row that cannot be used."""
    try:
        facts_of(example)
    except RowFault as fault:
        fault.__traceback__ = fault.__context__ = None  # They would keep what was decoded.
        return fault
    return None


def _of(name: str, where: Where) -> Facts:
    if media.is_sound(name):
        from tunesmith.data.media import sounds

        heard = sounds.decode(name, where, RATE, sounds.LONGEST_SECONDS)
        return Facts(name, "recording", seconds=round(len(heard) / RATE, 3))
    from tunesmith.data.media import pictures

    width, height = pictures.decode(name, where).size
    return Facts(name, "picture", width, height)
