"""How far what was heard is from what was said: wrong words and characters, as sums that add up.

Both are compared in lower case and without punctuation, as speech has none: ``Activated.`` and ``activated`` are equal.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class Errors:
    """Sums over one transcript."""

    wrong_words: int
    """Replaced, left out or added."""
    words: int
    wrong_characters: int
    characters: int


def errors(said: str, heard: str) -> Errors:
    """Count what is wrong in ``heard``."""
    import jiwer

    said, heard = plain(said), plain(heard)
    if not said:
        return Errors(len(heard.split()), 0, len(heard), 0)
    words, characters = jiwer.process_words(said, heard), jiwer.process_characters(said, heard)
    return Errors(
        words.substitutions + words.deletions + words.insertions,
        len(said.split()),
        characters.substitutions + characters.deletions + characters.insertions,
        len(said),
    )


def plain(text: str) -> str:
    """Return a text in lower case, without punctuation and marks, its words one blank apart; don't stays don't."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    kept = (
        character if unicodedata.category(character)[0] in "LMN" or _joins(folded, place) else " "
        for place, character in enumerate(folded)
    )
    return " ".join("".join(kept).split())


def _joins(text: str, place: int) -> bool:
    """Whether an apostrophe stands inside a word."""
    return text[place] == "'" and 0 < place < len(text) - 1 and text[place - 1].isalpha() and text[place + 1].isalpha()
