"""What every command needs of the terminal: consoles, text that is safe to print, the settings in force."""

from __future__ import annotations

import sys
import unicodedata
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from rich.console import Console

    from tunesmith.settings import Settings

_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that reorder the text around them on the screen."""


def printable(text: str) -> str:
    r"""Return text that cannot steer the terminal: control characters but line ends and tabs become ``\xNN``."""
    if text.isprintable():
        return text if _BIDI.isdisjoint(text) else "".join(map(_visible, text))
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    steers = unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t"
    return character.encode("unicode_escape").decode() if steers or character in _BIDI else character


def has_unicode() -> bool:
    """Whether stdout can carry any character."""
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") in ("utf8", "utf16")


def console(*, err: bool = False) -> Console:
    """Make a console that leaves text as it is: no guessed highlights, no markup, no emoji codes."""
    from rich.console import Console

    return Console(stderr=err, highlight=False, markup=False, emoji=False)


def current_settings() -> Settings:
    """Load the settings, with what was typed before the command's name; warn of variables that nothing reads."""
    from tunesmith.settings import load_settings

    warn_of_unknown_variables()
    return load_settings(**typed_settings())


def typed_settings() -> dict[str, Any]:
    """Return the settings that were typed before the command's name."""
    context = click.get_current_context(silent=True)
    typed = (context.find_root().obj if context else None) or {}
    return {name: value for name, value in typed.items() if value is not None}


def warn_of_unknown_variables() -> None:
    """Say on stderr which ``TUNESMITH_*`` variables nothing reads."""
    from tunesmith.settings import unknown_variables

    for sentence in unknown_variables():
        click.echo(f"Warning: {sentence}", err=True)
